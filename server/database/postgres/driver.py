"""PostgreSQL, through asyncpg. Nothing here assumes that this process is the only one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Self
from weakref import WeakSet

import asyncpg

from server.core.errors import StoreUnavailable
from server.database.driver import Added, Dialect, Result, Row, Unit
from server.database.failure import unavailable
from server.database.patience import Patience, current_patience
from server.database.postgres import connect as postgres_connect
from server.database.postgres import schema as postgres_schema
from server.database.postgres.added import added_since, server_of
from server.database.postgres.connect import connector
from server.database.postgres.errors import asking, opening
from server.database.postgres.schema import Connection
from server.database.postgres.watch import CHANNEL, Watch

# A connection that was not used for so long is asked whether it still leads anywhere, and has so long to say so.
IDLE_SECONDS = 1.0
PROBE_SECONDS = 1.0
# Between tries to connect to a server that has no slot free. One caller tries at a time.
SLOT_SECONDS = 0.02
# For so long after a write that found the disk full no node should be given logins.
FULL_SECONDS = 10.0
# How long may be spent on leaving a connection in order; else it is dropped.
TIDY_SECONDS = 1.0
CLOSE_SECONDS = 2.0
SERVING_CONNECTIONS = 10
# A unit that met a deadlock is run again, at most so often in all.
ATTEMPTS = 5
# Nothing was changed, and the server asks for another try: the last two come when others have changed the tables or a
# pooler has forgotten what was prepared.
_ONCE_MORE = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.InvalidSQLStatementNameError,
)
# What a new session would not meet again: a pooler mixes up what was prepared, and that a database only reads a session
# learns at its beginning.
_OF_THE_SESSION = (asyncpg.InvalidSQLStatementNameError, asyncpg.ReadOnlySQLTransactionError)


class _Transaction:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def run(self, sql: str, *parameters: Any) -> Sequence[Row]:
        return await self._connection.fetch(sql, *parameters)

    async def lock(self, name: str) -> None:
        await postgres_schema.lock(self._connection, name)

    async def announce(self) -> None:
        await self._connection.execute("SELECT pg_notify($1, '')", CHANNEL)


class PostgresDriver:
    """The driver of driver.py on a PostgreSQL database."""

    dialect: Dialect = "postgres"

    def __init__(
        self, pool: asyncpg.Pool[Any], connections: WeakSet[postgres_connect.Connection], watch: Watch, *, serving: bool
    ) -> None:
        self._pool = pool
        self._connections = connections
        self._watch = watch
        self._serving = serving
        # Asked once: in Python 3.11 each asyncio.get_running_loop() is a system call.
        self._loop = asyncio.get_running_loop()
        self._tidying: set[asyncio.Task[None]] = set()
        self._for_a_slot = asyncio.Lock()
        self._server = ""
        self._full_until = 0.0
        self._closed = False

    @classmethod
    async def open(cls, url: str, *, serving: bool) -> Self:
        """Connect and migrate. Raises StoreRefused, StoreUnavailable."""
        await apply_migrations(url)
        connections: WeakSet[postgres_connect.Connection] = WeakSet()
        with opening():
            connect = connector(url)

            async def connect_for_pool(*_: Any, **options: Any) -> postgres_connect.Connection:
                connection = await connect(**options)
                connections.add(connection)
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
            pool = await asyncpg.create_pool(**options)
            driver = cls(pool, connections, Watch(connect), serving=serving)
            if serving and await pool.fetchval("SHOW transaction_read_only") == "on":
                await driver.close()
                failure = StoreUnavailable()
                failure.detail = "PostgreSQL takes no writes there: default_transaction_read_only is on"
                raise failure
        return driver

    async def read(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run a SELECT."""
        return await self._attempts(lambda connection: connection.fetch(sql, *parameters))

    async def write(self, unit: Unit[Result]) -> Result:
        """Run a unit in a transaction; again, if it met a deadlock."""

        async def transaction(connection: Connection) -> Result:
            # Stated, since a database may have another default: what is read behind a lock has to be fresh.
            await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            result = await unit(_Transaction(connection))
            await connection.execute("COMMIT")
            return result

        return await self._attempts(transaction)

    async def write_one(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run a statement, which is a transaction of its own, in one round trip."""
        return await self._attempts(lambda connection: connection.fetch(sql, *parameters))

    async def _attempts(
        self, work: Callable[[Connection], Awaitable[Result]], patience: Patience | None = None
    ) -> Result:
        """Do `work` with a connection, again if the server asks for that.

        For a server, within the time that there is: for a connection, its statements, and their commit. A command has
        as long as it takes; each statement is bounded all the same.
        """
        patience = patience or current_patience()
        begun = self._loop.time()
        with asking():
            try:
                async with asyncio.timeout(patience.left if self._serving else None):
                    for _ in range(ATTEMPTS - 1):
                        with suppress(*_ONCE_MORE):
                            return await self._once(work)
                    return await self._once(work)
            except asyncpg.DiskFullError:
                self._full_until = self._loop.time() + FULL_SECONDS
                raise
            finally:
                patience.left -= self._loop.time() - begun

    async def _once(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
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
            await self._pool.release(connection, timeout=TIDY_SECONDS)
        return result

    async def _acquire(self) -> Any:
        while True:
            try:
                connection: Any = await self._pool.acquire()
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
            await self._pool.release(connection, timeout=TIDY_SECONDS)
        except Exception:  # noqa: BLE001 - whatever it was, nobody should use it again
            with suppress(asyncpg.InterfaceError):
                connection.terminate()

    async def read_soon(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """On the connection that listens; if it can't tell, from the pool, in the time that is left."""
        patience = current_patience()
        begun = self._loop.time()
        rows = await self._watch.read(sql, parameters, patience.left)
        patience.left -= self._loop.time() - begun
        if rows is None:
            return await self._attempts(lambda connection: connection.fetch(sql, *parameters), patience)
        return rows

    async def added_since(self, cursor: str, table: str, columns: str) -> Added:
        """By snapshots."""
        added = await added_since(self.read_soon, cursor, table, columns)
        self._follow(server_of(added.cursor))
        return added

    def _follow(self, server: str) -> None:
        """What is connected to another server than the one that is asked now would be read and written in vain."""
        if self._server not in ("", server):
            for connection in list(self._connections):
                connection.terminate()
        self._server = server

    async def wait_for_change(self, timeout_seconds: float) -> None:
        """By LISTEN."""
        await self._watch.wait(timeout_seconds)

    def require_room(self) -> None:
        """PostgreSQL overwrites a row where it is, also on a full disk, and what it can't write are new pages."""
        if self._loop.time() < self._full_until:
            raise unavailable(asyncpg.DiskFullError(), "the disk of PostgreSQL was full a moment ago")

    def in_list(self, column: str) -> str:
        """An array."""
        return f"{column} = ANY($1::text[])"

    def list_value(self, values: Sequence[str]) -> Any:
        """As it is."""
        return values

    def locking(self, select: str) -> str:
        """Rows are sorted first, then locked."""
        return f"{select} FOR UPDATE"

    async def close(self) -> None:
        """Wait for what is under way, but not for ever."""
        if self._closed:
            return
        self._closed = True
        await self._watch.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._pool.close()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._pool.terminate()


async def pending_names(url: str) -> list[str]:
    """The names of the migrations that the database needs. Changes nothing. Raises StoreRefused, StoreUnavailable."""
    async with _connected(url) as connection:
        return await postgres_schema.pending_names(connection)


async def apply_migrations(url: str) -> list[str]:
    """Bring the database up to date; the names of what was applied. Raises StoreRefused, StoreUnavailable."""
    async with _connected(url) as connection:
        return await postgres_schema.apply_migrations(connection)


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Connection]:
    with opening():
        connection = await connector(url)()
        try:
            yield connection
        finally:
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=TIDY_SECONDS)


async def _keep_session(connection: Any) -> None:
    """Units leave nothing behind in the session, so a connection goes back to the pool without a round trip."""
    connection.used_at = asyncio.get_running_loop().time()
