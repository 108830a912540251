"""The first account of a store: its password is seen, or there is no account."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial

import pytest

from server.app import open_services
from server.cli import first_start, shown
from server.core.errors import WatchwordError
from server.logs.writer_thread import WriterThread
from server.users.model import UserFilter
from tests.running import log_in, settings_with


@contextmanager
def broken_pipe() -> Iterator[int]:
    readable, writable = os.pipe()
    os.close(readable)
    yield writable
    os.close(writable)


@contextmanager
def full_pipe() -> Iterator[int]:
    """Nobody reads it."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    with suppress(BlockingIOError):
        while os.write(writable, bytes(4096)):
            pass
    os.set_blocking(writable, True)
    yield writable
    os.close(readable)
    os.close(writable)


@contextmanager
def opened(path: str, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags)
    yield descriptor
    os.close(descriptor)


@contextmanager
def closed() -> Iterator[int]:
    with opened(os.devnull, os.O_WRONLY) as descriptor:
        number = os.dup(descriptor)
    os.close(number)
    yield number


OUTPUTS: dict[str, tuple[Callable[[], AbstractContextManager[int]], str]] = {
    "broken pipe": (broken_pipe, "can't be written .Broken pipe"),
    "pipe that nobody reads": (full_pipe, "nobody reads it"),
    "full disk": (partial(opened, "/dev/full", os.O_WRONLY), "can't be written .No space left"),
    "not for writing": (partial(opened, os.devnull, os.O_RDONLY), "can't be written .Bad file descriptor"),
    "closed": (closed, "can't be written .Bad file descriptor"),
}


async def test_an_account_whose_password_nobody_can_see_is_not_made(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown, "WAIT_SECONDS", 0.1)
    async with open_services(settings_with(store_url), serving=True) as services:
        for output, message in OUTPUTS.values():
            with output() as descriptor, monkeypatch.context() as patched:
                patched.setattr(first_start, "show", partial(shown.show, descriptor=descriptor))
                with pytest.raises(WatchwordError, match=message):
                    await first_start.make_first_admin(services, "http://127.0.0.1")
            assert await services.users.list(UserFilter(limit=1)) == []
        # As long as there is no account, the next start makes it, and shows its password.
        readable, writable = os.pipe()
        monkeypatch.setattr(first_start, "show", partial(shown.show, descriptor=writable))
        usage = await first_start.make_first_admin(services, "http://127.0.0.1")
        os.close(writable)
        password = os.read(readable, 4096).decode().split("password ")[-1].strip()
        os.close(readable)
        assert password in usage
        await log_in(services, "admin", password)


def test_what_was_printed_before_and_the_password_wait_for_a_reader_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store waits too meanwhile. Twice as long would be longer than it does, and its failure would be told."""
    # This test would take as long.
    monkeypatch.setattr(shown, "WAIT_SECONDS", 600.0)
    began = time.monotonic()
    with full_pipe() as descriptor:
        writer = WriterThread(descriptor, lambda _: None)
        monkeypatch.setattr(sys, "stdout", writer.text("utf-8"))
        print("printed before", flush=True)

        def drain(seconds: float) -> None:
            """As if it had waited for all that time."""
            monkeypatch.setattr(time, "monotonic", lambda: began + seconds + 1)

        monkeypatch.setattr(writer, "drain", drain)
        with pytest.raises(WatchwordError, match="nobody reads it"):
            shown.show("the password", descriptor)
        monkeypatch.undo()
