"""The pace of refusals. Clients that come again at once, whatever they are told, would use up the processor."""

from __future__ import annotations

import asyncio
from functools import partial

from server.core.turns import Turns

# So many refusals a second are sent when they are made. What is more waits, but nobody waits longer than HOLD_SECONDS.
A_SECOND = 250
HOLD_SECONDS = 0.07


class RefusalPace:
    """Holds back the refusals of a process when they are many.

    A client that waits for its answer before it asks again asks less often by that. Who keeps to Retry-After does not
    notice it. Those that are held are sent together: then their clients come again together, and a crowd costs a third
    less than one by one, since the event loop need not take the processor from the hashes for each of them.
    """

    def __init__(self) -> None:
        # By the clock of the event loop.
        self._next_at = 0.0
        self._held: list[asyncio.Future[None]] = []
        self._turns = Turns()

    async def keep(self) -> None:
        """Return when the next refusal may be sent."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        at = max(self._next_at, now)
        self._next_at = min(at, now + HOLD_SECONDS) + 1 / A_SECOND
        if at > now:
            if not self._held:
                loop.call_later(HOLD_SECONDS, self._send)
            held = loop.create_future()
            self._held.append(held)
            await held

    def _send(self) -> None:
        held, self._held = self._held, []
        for one in held:
            # In turns, since there may be thousands.
            self._turns.soon(partial(_end, one))


def _end(held: asyncio.Future[None]) -> None:
    # The client may have left.
    if not held.done():
        held.set_result(None)
