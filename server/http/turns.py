"""Work for many connections at once is done in turns of the event loop, so that other clients are served in between."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

# As long until the next connection has a turn. In one, the event loop reads 256 KB at most.
TURN_SECONDS = 0.001
# So many connections are cleaned up in a turn, and so many get a protocol, as far as a millisecond allows.
CLEANED_IN_A_TURN = 50
OPENED_IN_A_TURN = 10
WORK_SECONDS = 0.001


class Ignored:
    """Connections whose data is ignored until they are closed, because the last answer was given.

    The event loop goes on reading from a connection as long as data comes. A few clients that send as fast as they can
    behind their last answer would keep it from all others.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[asyncio.Transport, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def wait(self, transport: asyncio.Transport) -> None:
        """Receive nothing until it is the turn of this connection."""
        # It may have been closed.
        with suppress(RuntimeError):
            transport.pause_reading()
        self._waiting[transport] = None
        if self._timer is None:
            self._timer = self._loop.call_later(TURN_SECONDS, self._next)

    def _next(self) -> None:
        self._timer = None
        while self._waiting:
            transport = next(iter(self._waiting))
            del self._waiting[transport]
            if not transport.is_closing():
                with suppress(RuntimeError):
                    transport.resume_reading()
                break
        if self._waiting:
            self._timer = self._loop.call_later(TURN_SECONDS, self._next)


class Shared:
    """Work that comes for many connections at once: a millisecond in a turn at most, the rest in the next ones."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, in_a_turn: int, now: Callable[[], float] = time.thread_time
    ) -> None:
        """Do so much in a turn at most, and always one. `now` is the clock of the work of this thread, in seconds."""
        self._loop = loop
        self._in_a_turn = in_a_turn
        self._now = now
        self._waiting: deque[Callable[[], None]] = deque()
        self._looks = False
        self._done = 0
        self._until = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether there is work for the next turns."""
        return bool(self._waiting)

    def add(self, work: Callable[[], None]) -> bool:
        """Do it now, or in one of the next turns. Whether it is done."""
        if not self._looks:
            self._begin()
        if self._waiting or not self._has_room():
            self._waiting.append(work)
            return False
        self._done += 1
        work()
        return True

    def _begin(self) -> None:
        self._looks = True
        self._done = 0
        self._until = self._now() + WORK_SECONDS
        self._loop.call_soon(self._next)

    def _has_room(self) -> bool:
        return not self._done or (self._done < self._in_a_turn and self._now() < self._until)

    def _next(self) -> None:
        """The event loop comes here in each turn, as long as there is work."""
        if not self._done:
            self._looks = False
            return
        self._begin()
        while self._waiting and self._has_room():
            self._done += 1
            self._waiting.popleft()()
