"""Turns of the event loop for work that must not hold up what is quicker."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Turns:
    """Gives one turn each time the event loop has looked at everything else.

    Many requests that arrive together, or whose writes are committed together, would else be worked at one after the
    other, and a token check that arrives meanwhile would wait for all of them. So it waits for one.
    """

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._giving = False

    async def turn(self) -> None:
        """Return when it is the caller's turn: at once if nobody else has had one since the event loop looked."""
        loop = asyncio.get_running_loop()
        if not self._giving:
            self._giving = True
            loop.call_soon(self._give, loop)
            return
        turn = loop.create_future()
        self._waiting.append(lambda: None if turn.done() else turn.set_result(None))
        await turn

    def soon(self, call: Callable[[], None]) -> None:
        """Call it when it is its turn. It is for what wakes a task."""
        self._waiting.append(call)
        if not self._giving:
            self._giving = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self._give, loop)

    def _give(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._waiting:
            # The next turn is one later, so meanwhile the loop looks for new requests.
            loop.call_soon(self._give, loop)
            self._waiting.popleft()()
        else:
            self._giving = False
