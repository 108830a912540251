"""What goes on beside the requests: following revocations, keeping keys current, purging what is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog
from aiohttp import web

from server.clock import Clock
from server.context import SERVICES
from server.errors import StoreUnavailable
from server.store.protocol import Store

ROUND_SECONDS = 60
PURGE_STEP = 500
# An ended session is kept for a day, so a late use of its tokens is still told what happened.
PURGE_DELAY_MS = 86_400_000

_log = structlog.get_logger("watchword")


async def background(app: web.Application) -> AsyncIterator[None]:
    """A cleanup context: the tasks run while the application does."""
    services = app[SERVICES]
    tasks = [
        asyncio.create_task(services.revocations.follow()),
        asyncio.create_task(_each_round("signing keys", services.keys.maintain)),
        asyncio.create_task(_each_round("purge", lambda: purge(services.store, services.clock))),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def purge(store: Store, clock: Clock) -> None:
    """Delete ended and expired sessions and spent revocations, in steps that let other writes pass between them."""
    now = clock.now_ms()
    gone = PURGE_STEP
    while gone == PURGE_STEP:
        gone = await store.purge(now, now - PURGE_DELAY_MS, PURGE_STEP)


async def _each_round(what: str, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await work()
        except StoreUnavailable:
            _log.warning("the store could not be reached; trying again in a minute", task=what)
        except Exception:  # noqa: BLE001 - a defect in one round must not end all later ones
            _log.exception("background task failed", task=what)
        await asyncio.sleep(ROUND_SECONDS)
