"""What else the parent of workers does, beside supervising them (supervisor.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from server.cli.channel import Message


def _nothing(*_: object) -> None:
    """The hook that does nothing."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """They are called in the one loop of the parent, so none may wait for anything."""

    # All workers accept requests, for the first time.
    ready: Callable[[], None] = _nothing
    # The server is going to end.
    stopping: Callable[[], None] = _nothing
    # A worker was forked, or has died: its number and its pid.
    forked: Callable[[int, int], None] = _nothing
    died: Callable[[int, int], None] = _nothing
    # A worker has said something that the supervisor does not know: its number and the message.
    heard: Callable[[int, Message], None] = _nothing
    # SIGHUP has come.
    hangup: Callable[[], None] = _nothing
    # About once a second.
    tick: Callable[[], None] = _nothing
