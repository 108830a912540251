"""Connections to PostgreSQL that are used again and again, and what has to be done before and behind each use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Self
from weakref import WeakSet

import asyncpg

from server.database.driver import Result
from server.database.postgres import connect as postgres_connect
from server.database.postgres.schema import Connection

# A connection that was not used for so long is asked whether it still leads anywhere, and has so long to say so.
IDLE_SECONDS = 1.0
PROBE_SECONDS = 1.0
# Between tries to connect to a server that has no slot free. One caller tries at a time.
SLOT_SECONDS = 0.02
# How long may be spent on leaving a connection in order; else it is dropped.
TIDY_SECONDS = 1.0
CLOSE_SECONDS = 2.0
SERVING_CONNECTIONS = 10
# What a new session would not meet again: a pooler mixes up what was prepared, and that a database only reads a session
# learns at its beginning.
_OF_THE_SESSION = (asyncpg.InvalidSQLStatementNameError, asyncpg.ReadOnlySQLTransactionError)


class Pool:
    """A pool of asyncpg. Its connections are usable when they are taken, and as they should be when they are back."""

    def __init__(
        self, connections: asyncpg.Pool[Any], made: WeakSet[postgres_connect.Connection], *, serving: bool
    ) -> None:
        self._connections = connections
        self._made = made
        self._serving = serving
        self._loop = asyncio.get_running_loop()
        self._tidying: set[asyncio.Task[None]] = set()
        self._for_a_slot = asyncio.Lock()

    @classmethod
    async def open(
        cls, connect: Callable[..., Coroutine[Any, Any, postgres_connect.Connection]], *, serving: bool
    ) -> Self:
        """Raises what `connect` does."""
        made: WeakSet[postgres_connect.Connection] = WeakSet()

        async def connect_for_pool(*_: Any, **options: Any) -> postgres_connect.Connection:
            connection = await connect(**options)
            made.add(connection)
            return connection

        options: dict[str, Any] = {
            "connect": connect_for_pool,
            "connection_class": postgres_connect.Connection,
            # Made as they are needed: those that are to be kept up are made again in the background, with a
            # traceback for each time that it fails.
            "min_size": 0,
            "init_size": 1,
            "max_size": SERVING_CONNECTIONS if serving else 1,
            "reset": _keep_session,
        }
        return cls(await asyncpg.create_pool(**options), made, serving=serving)

    async def only_reads(self) -> bool:
        """Whether the database is set to take no writes."""
        return bool(await self._connections.fetchval("SHOW transaction_read_only") == "on")

    async def run(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Do `work` with a connection. Raises what it raises, behind which the connection is left in order."""
        connection = await self._acquire()
        try:
            result = await work(connection)
        except BaseException as error:
            tidying = asyncio.create_task(self._tidy(connection, error))
            self._tidying.add(tidying)
            tidying.add_done_callback(self._tidying.discard)
            if isinstance(error, Exception):
                # What the unit had locked is free before anybody hears that it failed. Whoever is out of time, or
                # has left, does not wait for that.
                await asyncio.shield(tidying)
            raise
        with suppress(Exception):
            # What was done is done, also if the connection was lost since.
            await self._connections.release(connection, timeout=TIDY_SECONDS)
        return result

    async def _acquire(self) -> Any:
        while True:
            try:
                connection: Any = await self._connections.acquire()
            except asyncpg.TooManyConnectionsError:
                if not self._serving:
                    raise
                async with self._for_a_slot:
                    await asyncio.sleep(SLOT_SECONDS)
                continue
            used_at = connection.used_at
            if used_at is None or self._loop.time() - used_at < IDLE_SECONDS:
                return connection
            try:
                # A network may have lost it without telling, and a server may not have the time any more.
                await connection.fetch("SELECT 1", timeout=PROBE_SECONDS)
            except BaseException as error:
                connection.terminate()
                if not isinstance(error, Exception):
                    raise
            else:
                return connection

    async def _tidy(self, connection: Any, error: BaseException) -> None:
        """Give a connection back behind a failure, as it should be or closed. Raises nothing."""
        try:
            async with asyncio.timeout(TIDY_SECONDS):
                # Behind a statement that was cut off this waits until the server has ended it.
                if connection.is_in_transaction():
                    await connection.execute("ROLLBACK")
            if isinstance(error, _OF_THE_SESSION):
                connection.terminate()
            # With its own time: what asyncpg does here goes on when it is not waited for, and then fails unseen.
            await self._connections.release(connection, timeout=TIDY_SECONDS)
        except Exception:  # noqa: BLE001 - whatever it was, nobody should use it again
            with suppress(asyncpg.InterfaceError):
                connection.terminate()

    def drop_connections(self) -> None:
        """All of them: each use from now on makes a new one."""
        for connection in list(self._made):
            connection.terminate()

    async def close(self) -> None:
        """Wait for what is under way, but not for ever."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._connections.close()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._connections.terminate()


async def _keep_session(connection: Any) -> None:
    """Units leave nothing behind in the session, so a connection goes back to the pool without a round trip."""
    connection.used_at = asyncio.get_running_loop().time()
