"""Waits at the start for a database that is not there yet: it was started at the same moment, or starts again."""

from __future__ import annotations

import asyncio

import asyncpg
import structlog

from server.core.errors import StoreUnavailable
from server.database.postgres.connect import Connector
from server.database.postgres.errors import opening
from server.settings.tree import StoreSettings

WAIT_SECONDS = 30.0
PAUSE_SECONDS = 0.5

# What passes by itself: nobody listens there yet, a host has no address yet, the server starts, its slots are taken.
# A standby, a wrong password or a missing database stay as they are.
_PASSES = (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError)

_log = structlog.get_logger("watchword.store")


async def wait_until_reachable(store: StoreSettings) -> None:
    """Return when PostgreSQL takes connections. Raises StoreRefused; StoreUnavailable after WAIT_SECONDS."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + WAIT_SECONDS
    told = False
    with opening():
        connect = Connector(store)
    while True:
        try:
            with opening():
                connection = await connect()
        except StoreUnavailable as failure:
            if not isinstance(failure.__cause__, _PASSES) or loop.time() + PAUSE_SECONDS > deadline:
                raise
            if not told:
                _log.warning("waiting for PostgreSQL", reason=failure.detail, seconds=WAIT_SECONDS)
            told = True
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            connection.terminate()
            if told:
                _log.info("PostgreSQL is there now")
            return
