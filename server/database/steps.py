"""Deletes many rows a few at a time, so that nobody waits for long: whoever writes to SQLite waits for a whole step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

FIRST_STEP = 50
LEAST_STEP = 10
MOST_STEP = 2000
# Steps become shorter if one takes longer than this, and longer if it takes less than half of it.
STEP_SECONDS = 0.01


async def in_steps(delete: Callable[[int], Awaitable[int]]) -> int:
    """Call `delete` until it finds less than it may delete. Returns how much it was in all.

    After each step others have the store for as long as it took.
    """
    loop = asyncio.get_running_loop()
    deleted, limit = 0, FIRST_STEP
    while True:
        begun = loop.time()
        found = await delete(limit)
        seconds = loop.time() - begun
        deleted += found
        if found < limit:
            return deleted
        if seconds > STEP_SECONDS:
            limit = max(LEAST_STEP, limit // 2)
        elif seconds < STEP_SECONDS / 2:
            limit = min(MOST_STEP, limit * 2)
        await asyncio.sleep(seconds)
