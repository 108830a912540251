"""What the log says of a store that does not answer: when it begins, what is new, and when it is over."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from server.core.origin import COMMAND_LINE, Origin, set_origin
from server.database.failure import CALM_SECONDS, MOST_REASONS, TELL_SECONDS, Trouble


class Now:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def trouble(now: Now) -> Trouble:
    return Trouble(now)


@contextmanager
def told() -> Iterator[list[Any]]:
    """The lines, as tuples of the event and its fields."""
    found: list[Any] = []
    with capture_logs() as lines:
        yield found
    for line in lines:
        line.pop("log_level")
        found.append((line.pop("event"), dict(line)))


FULL = sqlite3.OperationalError("database or disk is full")


def test_trouble_is_told_once_and_so_is_its_end(trouble: Trouble, now: Now) -> None:
    with told() as lines:
        for _ in range(5000):
            failure = trouble.failed("write", FULL, "SQLITE_FULL")
            now.seconds += 0.001
        assert failure.reason == "SQLITE_FULL"
        assert failure.__cause__ is FULL
        trouble.succeeded("write")
        assert trouble.is_on, "a moment ago a call has failed"
        now.seconds += CALM_SECONDS
        trouble.succeeded("read")
        assert trouble.is_on, "a read tells nothing of writes"
        trouble.succeeded("write")
        trouble.succeeded("write")
    assert lines == [
        ("the store did not answer", {"reason": "SQLITE_FULL"}),
        ("the store answers again", {"failed": 5000, "seconds": 7}),
    ]


def test_long_trouble_is_told_each_minute_with_what_has_failed(trouble: Trouble, now: Now) -> None:
    with told() as lines:
        for _ in range(10 * int(TELL_SECONDS)):
            trouble.failed("write", FULL, "SQLITE_FULL")
            now.seconds += 0.25
    assert lines == [
        ("the store did not answer", {"reason": "SQLITE_FULL"}),
        ("the store still does not answer", {"reason": "SQLITE_FULL", "failed": 241, "seconds": 60}),
        ("the store still does not answer", {"reason": "SQLITE_FULL", "failed": 481, "seconds": 120}),
    ]


def test_each_reason_is_told_but_not_without_end(trouble: Trouble, now: Now) -> None:
    with told() as lines:
        for number in range(1000):
            trouble.failed("read", OSError(number, f"reason {number}"))
            now.seconds += 0.01
    assert [fields["reason"] for _, fields in lines] == [f"reason {number}" for number in range(MOST_REASONS)]


def test_the_next_trouble_is_told_anew(trouble: Trouble, now: Now) -> None:
    with told() as lines:
        for _ in range(2):
            trouble.failed("read", TimeoutError())
            now.seconds += CALM_SECONDS
            trouble.succeeded("read")
    assert [event for event, _ in lines] == ["the store did not answer", "the store answers again"] * 2
    assert lines[-1][1] == {"failed": 1, "seconds": 2}


async def test_a_command_prints_its_reason_and_logs_nothing(trouble: Trouble) -> None:
    set_origin(lambda: Origin(via=COMMAND_LINE))
    with told() as lines:
        assert trouble.failed("write", FULL, "SQLITE_FULL").reason == "SQLITE_FULL"
        assert not trouble.is_on
    assert lines == []
