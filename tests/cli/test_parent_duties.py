"""How the parent leads its workers through a reload, whatever they answer; the workers are played by the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from server.cli import parent_duties as module
from server.cli.channel import Message
from server.cli.parent_duties import ParentDuties
from server.cli.reload import Source
from server.cli.reload_socket import Waiters
from server.core.errors import ConfigurationError
from server.settings import LoadedSettings, Settings
from server.settings.tree import LimitSettings
from tests.service_manager import Heard, service_manager

RUNNING = Settings()
READ = Settings(limits=LimitSettings(account_guesses=50))


class Workers:
    """What the parent sees of a supervisor with two workers, and of the settings file."""

    def __init__(self, folder: Path) -> None:
        self.settings = RUNNING
        self.ready = {0, 1}
        self.told: list[tuple[int, str]] = []
        self.read: Settings | ConfigurationError = READ
        # Nobody waits in these tests.
        waiters = Waiters(folder / "config.toml")
        waiters.close()
        source = Source(self._read, waiters)
        self.parent = ParentDuties(source, asked=False, status="2 workers listen")
        self.parent.supervisor = self  # type: ignore[assignment]

    def _read(self) -> LoadedSettings:
        if isinstance(self.read, ConfigurationError):
            raise self.read
        return LoadedSettings(self.read, None, (), {}, "{}")

    def tell(self, kind: str, body: dict[str, Any]) -> None:
        assert kind == "settings"
        self.told.append((body["number"], body["step"]))

    def ready_workers(self) -> set[int]:
        return set(self.ready)

    def answer(self, worker: int, step: str, *problems: str, number: int = 1) -> None:
        body = {"number": number, "step": step, "problems": list(problems)}
        self.parent.heard(worker, Message("settings", body))


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with service_manager(tmp_path / "notify") as heard:
        yield heard


@pytest.fixture
def workers(tmp_path: Path, manager: Heard) -> Workers:
    workers = Workers(tmp_path)
    workers.parent.ready()
    workers.parent.heard(0, Message("well", None))
    workers.parent.heard(1, Message("well", None))
    assert manager.rest() == [["READY=1", "STATUS=2 workers listen"]]
    return workers


def states(manager: Heard) -> list[str]:
    return [message[0] for message in manager.rest()]


def test_all_take_what_all_could_prepare(workers: Workers, manager: Heard) -> None:
    with capture_logs() as lines:
        workers.parent.hangup()
        # One that comes meanwhile is done later.
        workers.parent.hangup()
        assert workers.told == [(1, "prepare")]
        workers.answer(0, "prepare")
        assert (workers.settings, len(workers.told)) == (RUNNING, 1)
        workers.answer(1, "prepare")
        assert (workers.settings, workers.told[1:]) == (READ, [(1, "take")])
        workers.answer(0, "take")
        assert lines == []
        workers.answer(1, "take")
        workers.parent.tick()
    assert [line["event"] for line in lines] == [
        "the settings were reloaded", "the settings were read again: nothing has changed",
    ]  # fmt: skip
    assert lines[0]["changed"] == ["limits.account_guesses"]
    assert states(manager) == ["RELOADING=1", "READY=1"] * 2


def test_if_one_worker_could_not_none_takes_the_settings(workers: Workers, manager: Heard) -> None:
    with capture_logs() as lines:
        workers.parent.hangup()
        workers.answer(0, "prepare")
        workers.answer(1, "prepare", "store: it is away")
        # What comes too late, or of another reload, is nothing.
        workers.answer(1, "prepare")
    assert (workers.settings, workers.told) == (RUNNING, [(1, "prepare"), (1, "drop")])
    assert [line["reason"] for line in lines] == ["store: it is away"]
    assert states(manager) == ["RELOADING=1", "READY=1"]


def test_a_worker_that_dies_is_not_waited_for_and_one_that_does_not_answer_not_for_long(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers.parent.hangup()
    workers.answer(0, "prepare")
    workers.parent.died(1, 7)
    assert workers.told[-1] == (1, "take")
    # It has ended since it could not take them: its successor starts with them.
    workers.parent.died(0, 8)
    workers.parent.died(1, 9)
    workers.read = RUNNING
    monkeypatch.setattr(module, "STEP_SECONDS", -1)
    with capture_logs() as lines:
        workers.parent.hangup()
        workers.answer(0, "prepare", number=2)
        workers.parent.tick()
    assert workers.told[2:] == [(2, "prepare"), (2, "drop")]
    assert [line["reason"] for line in lines] == ["no answer within -1 s from worker 1"]
    assert workers.settings == READ


def test_if_no_worker_is_left_to_try_the_settings_they_are_not_taken(workers: Workers) -> None:
    workers.parent.hangup()
    with capture_logs() as lines:
        for number in (0, 1):
            workers.parent.died(number, number)
    assert (workers.settings, workers.told[-1]) == (RUNNING, (1, "drop"))
    assert [line["reason"] for line in lines] == ["no worker was left to try the settings"]
    # While all are being replaced, a reload waits.
    workers.ready = set()
    workers.parent.hangup()
    workers.parent.tick()
    assert len(workers.told) == 2
    workers.ready = {0}
    workers.parent.tick()
    assert workers.told[2:] == [(2, "prepare")]


def test_what_is_wrong_is_not_even_told_to_the_workers(workers: Workers) -> None:
    workers.read = ConfigurationError(["limits.account_guesses: takes 10 to 100", "x: there is no such setting"])
    with capture_logs() as lines:
        workers.parent.hangup()
    assert workers.told == []
    assert [line["reason"] for line in lines] == [
        "limits.account_guesses: takes 10 to 100; x: there is no such setting"
    ]


def test_before_all_listen_and_after_the_end_has_begun_nothing_is_reloaded(
    tmp_path: Path, manager: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = Workers(tmp_path)
    workers.parent.hangup()
    monkeypatch.setattr(module, "EXTEND_EVERY_SECONDS", 0)
    workers.parent.tick()
    assert (workers.told, states(manager)) == ([], ["EXTEND_TIMEOUT_USEC=30000000"])
    workers.parent.ready()
    workers.parent.stopping()
    workers.parent.tick()
    assert (workers.told, states(manager)) == ([], ["STOPPING=1"])


def test_the_watchdog_is_fed_by_the_ticks(tmp_path: Path, manager: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    workers = Workers(tmp_path)
    workers.parent.ready()
    workers.parent.tick()
    assert states(manager) == ["WATCHDOG=1"]
