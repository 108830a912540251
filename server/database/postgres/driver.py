"""PostgreSQL, through asyncpg. Nothing here assumes that this process is the only one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

import asyncpg

from server.core.errors import StoreUnavailable
from server.database.driver import Added, Dialect, Result, Row, Unit
from server.database.failure import unavailable
from server.database.live_nodes import LiveNode
from server.database.migration_files import Migration
from server.database.patience import Patience, current_patience
from server.database.pending_migrations import not_migrated
from server.database.postgres import migrate as postgres_migrate
from server.database.postgres import schema as postgres_schema
from server.database.postgres.added import added_since, server_of
from server.database.postgres.connect import connector
from server.database.postgres.errors import asking, opening
from server.database.postgres.pool import TIDY_SECONDS, Pool
from server.database.postgres.schema import Connection
from server.database.postgres.watch import CHANNEL, Watch

# After a write failed because the disk was full, readiness fails for this time.
FULL_SECONDS = 10.0
# How often a transaction is run in all, if deadlocks end it.
ATTEMPTS = 5
# After these errors nothing was changed, and the work can be run again. A value was free and is taken: then another
# transaction has just committed it, and now the work sees that. The last two come when the tables were changed, or when
# a pooler has lost a prepared statement.
_ONCE_MORE = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.UniqueViolationError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.InvalidSQLStatementNameError,
)


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

    def __init__(self, pool: Pool, watch: Watch, *, serving: bool) -> None:
        self._pool = pool
        self._watch = watch
        self._serving = serving
        # Kept, since asyncio.get_running_loop() makes a system call in Python 3.11.
        self._loop = asyncio.get_running_loop()
        self._server = ""
        self._full_until = 0.0
        self._closed = False

    @classmethod
    async def open(
        cls, url: str, *, serving: bool, inherited: Sequence[int] | None = None, migrating: bool = True
    ) -> Self:
        """Connect, and migrate or require that it was done; a worker (`inherited`) knows that it was.

        Raises StoreRefused, StoreUnavailable.
        """
        if inherited is None and migrating:
            await apply_migrations(url)
        elif inherited is None and (wanted := await pending_migrations(url)):
            raise not_migrated(postgres_schema.PLACE, wanted)
        with opening():
            connect = connector(url)
            pool = await Pool.open(connect, serving=serving)
            driver = cls(pool, Watch(connect), serving=serving)
            if serving and await pool.only_reads():
                await driver.close()
                failure = StoreUnavailable()
                failure.detail = "PostgreSQL takes no writes there: default_transaction_read_only is on"
                raise failure
        return driver

    async def read(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run a SELECT."""
        return await self._attempts(lambda connection: connection.fetch(sql, *parameters))

    async def write(self, unit: Unit[Result]) -> Result:
        """Run a unit in a transaction, again after a deadlock."""

        async def transaction(connection: Connection) -> Result:
            # Set here, since a database may have another default: after a lock, reads must see the latest commits.
            await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            result = await unit(_Transaction(connection))
            await connection.execute("COMMIT")
            return result

        return await self._attempts(transaction)

    async def write_one(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run a statement as its own transaction, in one round trip."""
        return await self._attempts(lambda connection: connection.fetch(sql, *parameters))

    async def _attempts(
        self, work: Callable[[Connection], Awaitable[Result]], patience: Patience | None = None
    ) -> Result:
        """Do `work` with a connection, again after an error of _ONCE_MORE.

        A server has the time of `patience` for all of it: getting a connection, the statements, and the commit. A
        command has no such limit, but each of its statements has a timeout.
        """
        patience = patience or current_patience()
        begun = self._loop.time()
        with asking():
            try:
                async with asyncio.timeout(patience.left if self._serving else None):
                    for _ in range(ATTEMPTS - 1):
                        with suppress(*_ONCE_MORE):
                            return await self._pool.run(work)
                    return await self._pool.run(work)
            except asyncpg.DiskFullError:
                self._full_until = self._loop.time() + FULL_SECONDS
                raise
            finally:
                patience.left -= self._loop.time() - begun

    async def read_soon(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Read on the connection that listens. If that fails, read from the pool in the remaining time."""
        patience = current_patience()
        begun = self._loop.time()
        rows = await self._watch.read(sql, parameters, patience.left)
        patience.left -= self._loop.time() - begun
        if rows is None:
            return await self._attempts(lambda connection: connection.fetch(sql, *parameters), patience)
        return rows

    async def added_since(self, cursor: str, table: str, columns: str) -> Added:
        """Compare snapshots (added.py)."""
        added = await added_since(self.read_soon, cursor, table, columns)
        self._follow(server_of(added.cursor))
        return added

    def _follow(self, server: str) -> None:
        """Drop all connections if the server has changed: they lead to the old one."""
        if self._server not in ("", server):
            self._pool.drop_connections()
        self._server = server

    async def wait_for_change(self, timeout_seconds: float) -> None:
        """Wait for a notification of LISTEN."""
        await self._watch.wait(timeout_seconds)

    def require_room(self) -> None:
        """Remember a full disk for FULL_SECONDS: PostgreSQL can update a row on a full disk, but can't add pages."""
        if self._loop.time() < self._full_until:
            raise unavailable(asyncpg.DiskFullError(), "the disk of PostgreSQL was full a moment ago")

    def in_list(self, column: str) -> str:
        """Compare with an array."""
        return f"{column} = ANY($1::text[])"

    def list_value(self, values: Sequence[str]) -> Any:
        """The list itself, which asyncpg sends as an array."""
        return values

    def locking(self, select: str) -> str:
        """Add FOR UPDATE. PostgreSQL sorts the rows first, then locks them."""
        return f"{select} FOR UPDATE"

    def held_descriptors(self) -> Sequence[int]:
        """None: there may be any number of servers."""
        return ()

    async def close(self) -> None:
        """Wait for running work, at most CLOSE_SECONDS of the pool, then close."""
        if self._closed:
            return
        self._closed = True
        await self._watch.close()
        await self._pool.close()


async def pending_migrations(url: str) -> list[Migration]:
    """The migrations that the database needs. Changes nothing. Raises StoreRefused, StoreUnavailable."""
    async with _connected(url) as connection:
        return await postgres_schema.pending_migrations(connection)


async def live_nodes(url: str) -> list[LiveNode]:
    """The servers that use the database now. Raises StoreRefused, StoreUnavailable."""
    async with _connected(url) as connection:
        return await postgres_schema.live_nodes(connection)


async def apply_migrations(url: str) -> list[str]:
    """Bring the database up to date; the names of what was applied. Raises StoreRefused, StoreUnavailable."""
    async with _connected(url) as connection:
        return await postgres_migrate.apply_migrations(connection, connector(url))


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Connection]:
    with opening():
        connection = await connector(url)()
        try:
            yield connection
        finally:
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=TIDY_SECONDS)
