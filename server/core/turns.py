"""Turns of the event loop for work that must not hold up what is quicker."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

# About so long work goes on until the event loop looks at everything else again.
LOOK_SECONDS = 0.001
# So many turns at the most between two looks.
MOST = 64
# An answer of the store with so many rows is work for who has asked: two milliseconds for a hundred.
MANY_ROWS = 20


class Turns:
    """Gives as many turns between two looks of the event loop as fit into a millisecond, at least one.

    Many requests that arrive together, or whose writes are committed together, would else be worked at one after the
    other, and a token check that arrives meanwhile would wait for all of them. With a look after each of them, they
    would take twice as long, and fewer of their writes would share a commit.
    """

    def __init__(self, now: Callable[[], float] = time.thread_time) -> None:
        self._now = now
        self._waiting: deque[Callable[[], None]] = deque()
        self._looking = False
        self._looked_at = 0.0
        # Turns between two looks, as learned from how long the last ones took; and how many of them are left.
        self._share = 1
        self._left = 0

    async def turn(self) -> None:
        """Return when it is the caller's turn."""
        if self._has_turn():
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(lambda: None if turn.done() else turn.set_result(None))
        await turn

    def soon(self, call: Callable[[], None]) -> None:
        """Call it when it is its turn. It is for what wakes a task."""
        if self._has_turn():
            call()
        else:
            self._waiting.append(call)

    def _has_turn(self) -> bool:
        if not self._looking:
            self._looking = True
            self._begin(asyncio.get_running_loop())
        if self._waiting or not self._left:
            return False
        self._left -= 1
        return True

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._looked_at = self._now()
        self._left = self._share
        loop.call_soon(self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """The event loop comes here once in each of its rounds."""
        if self._now() - self._looked_at > LOOK_SECONDS:
            self._share = max(1, self._share // 2)
        elif self._waiting:
            self._share = min(MOST, self._share + 1)
        elif self._left == self._share:
            # Nobody has come since the last look.
            self._looking = False
            return
        self._begin(loop)
        while self._waiting and self._left:
            self._left -= 1
            self._waiting.popleft()()
