"""Finds out at the start whether the connection that listens is told of what the others announce.

PostgreSQL tells the sessions of its database. A pooler in transaction mode has no session for a client that waits, so
it is told nothing. There, and where the two URLs lead to different databases, revocations would not be known in time.
"""

from __future__ import annotations

import asyncio
import secrets

from server.core.errors import StoreRefused
from server.database.postgres.connect import Connector, listening_setting
from server.database.postgres.errors import opening
from server.settings.tree import StoreSettings

HEAR_SECONDS = 3.0


async def require_told(connect: Connector, connect_to_listen: Connector) -> None:
    """Announce something, and require that it is told. Raises StoreRefused, StoreUnavailable."""
    told = asyncio.Event()
    text = secrets.token_hex(8)

    def note(_: object, __: int, ___: str, payload: object) -> None:
        if payload == text:
            told.set()

    is_other = connect_to_listen.url != connect.url
    with opening(listening_setting(connect.store)):
        listening = await connect_to_listen()
        try:
            await listening.add_listener(listening.channel, note)
            with opening():
                await _announce(connect, text)
            try:
                async with asyncio.timeout(HEAR_SECONDS):
                    await told.wait()
            except TimeoutError:
                raise StoreRefused(_NOT_TOLD_THERE if is_other else _NOT_TOLD) from None
        finally:
            listening.terminate()


_NOT_TOLD = (
    "store.url goes through a pooler in transaction mode, behind which nothing can be listened for; set "
    "store.listen_url to the URL of PostgreSQL itself, or pool_mode = session in the pooler"
)
_NOT_TOLD_THERE = (
    "store.listen_url is not told what is announced through store.url: it is another database, or goes through a "
    "pooler in transaction mode too; name the same database, on PostgreSQL itself"
)


async def require_notifications(store: StoreSettings) -> None:
    """The same for a command, which has no connections yet. Raises StoreRefused, StoreUnavailable."""
    with opening():
        connect = Connector(store)
        (await connect()).terminate()
    with opening(listening_setting(store)):
        connect_to_listen = Connector(store, direct=True)
    if connect.pooled or store.listen_url:
        await require_told(connect, connect_to_listen)


async def _announce(connect: Connector, text: str) -> None:
    connection = await connect()
    try:
        await connection.begin()
        await connection.fetch("SELECT pg_notify($1, $2)", connection.channel, text)
        await connection.execute("COMMIT")
    finally:
        connection.terminate()
