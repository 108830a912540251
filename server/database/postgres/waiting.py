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
# So long a connection may take until it is said that it is waited for.
TELL_SECONDS = 1.0
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
        connecting = asyncio.create_task(connect())
        try:
            with opening():
                await asyncio.wait([connecting], timeout=None if told else TELL_SECONDS)
                if not connecting.done():
                    _tell("no answer yet")
                    told = True
                connection = await connecting
        except StoreUnavailable as failure:
            if not isinstance(failure.__cause__, _PASSES) or loop.time() + PAUSE_SECONDS > deadline:
                raise
            if not told:
                _tell(failure.detail)
            told = True
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            connection.terminate()
            if told:
                _log.info("PostgreSQL is there now")
            return
        finally:
            connecting.cancel()


def _tell(reason: str) -> None:
    _log.warning("waiting for PostgreSQL", reason=reason, seconds=WAIT_SECONDS)
