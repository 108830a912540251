"""The pace of refusals. Clients that come again at once, whatever they are told, would use up the processor."""

from __future__ import annotations

import asyncio

# So many refusals a second are sent when they are made. What is more waits, but nobody waits longer than HOLD_SECONDS.
A_SECOND = 250
HOLD_SECONDS = 0.075


class RefusalPace:
    """Holds back the refusals of a process when they are many.

    A client that waits for its answer before it asks again asks less often by that. Who keeps to Retry-After does not
    notice it.
    """

    def __init__(self) -> None:
        # By the clock of the event loop.
        self._next_at = 0.0

    async def keep(self) -> None:
        """Return when the next refusal may be sent."""
        now = asyncio.get_running_loop().time()
        at = max(self._next_at, now)
        self._next_at = min(at, now + HOLD_SECONDS) + 1 / A_SECOND
        if at > now:
            await asyncio.sleep(min(at - now, HOLD_SECONDS))
