"""Watches what the interpreter does to the world outside: files, connections, processes, code.

Python tells audit hooks (PEP 578) of each such deed, whichever library does it. A hook can't be taken away again, so
there is one for the process, and it is deaf while nobody watches.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pytest

# These touch nothing outside of the interpreter.
_INWARD = ("object.", "sys._getframe", "sys._current_frames", "builtins.id", "code.__new__", "array.__new__", "gc.")


class Watch:
    """The ears of the process."""

    def __init__(self) -> None:
        self._deeds: list[str] | None = None

    def hear(self, event: str, arguments: tuple[object, ...]) -> None:
        """The audit hook."""
        if self._deeds is None or event.startswith(_INWARD):
            return
        deeds, self._deeds = self._deeds, None
        # Deaf while it writes: repr() may do things of its own. As text, so that it keeps no socket alive.
        try:
            deeds.append(f"{event} {arguments!r}")
        finally:
            self._deeds = deeds

    @contextmanager
    def on(self) -> Iterator[list[str]]:
        """What is done meanwhile, by any thread: a line a deed."""
        assert self._deeds is None, "already watching"
        deeds: list[str] = []
        self._deeds = deeds
        try:
            yield deeds
        finally:
            self._deeds = None


@cache
def the_watch() -> Watch:
    """The one of this process."""
    watch = Watch()
    sys.addaudithook(watch.hear)
    return watch


@pytest.fixture
def watch() -> Watch:
    return the_watch()


class Trap:
    """An address of the attacker's, on this machine, that notes whether anybody comes."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.host, self.port = listener.getsockname()

    def url(self, path: str = "/jwks.json", scheme: str = "http") -> str:
        return f"{scheme}://{self.host}:{self.port}{path}"

    def visitors(self) -> int:
        """How many have come since this was last asked; the kernel lets them in without us."""
        count = 0
        while True:
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return count
            connection.close()
            count += 1


@pytest.fixture
def trap() -> Iterator[Trap]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        listener.setblocking(False)
        yield Trap(listener)
