"""PostgreSQL, through asyncpg. Nothing here assumes that this process is the only one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

import asyncpg

from server.core.errors import StoreRefused, StoreUnavailable
from server.core.turns import MANY_ROWS, Turns
from server.database.driver import Added, Dialect, Result, Row, Unit
from server.database.failure import Operation, Trouble
from server.database.live_nodes import LiveNode
from server.database.migration_files import Migration
from server.database.patience import Patience, current_patience
from server.database.postgres import closing
from server.database.postgres import migrate as postgres_migrate
from server.database.postgres import schema as postgres_schema
from server.database.postgres.added import added_since, server_of
from server.database.postgres.connect import Connector, listening_setting
from server.database.postgres.connection import Connection
from server.database.postgres.errors import asking, opening
from server.database.postgres.pool import TIDY_SECONDS, Pool
from server.database.postgres.pooler import require_told
from server.database.postgres.watch import Watch
from server.database.store_state import refuse_moved
from server.settings.tree import StoreSettings

# After a write failed because the disk was full, readiness fails for this time.
FULL_SECONDS = 3.0
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
        rows: Sequence[Row] = await self._connection.fetch(sql, *parameters)
        return rows

    async def lock(self, name: str) -> None:
        await postgres_schema.lock(self._connection, name)

    async def announce(self) -> None:
        await self._connection.fetch("SELECT pg_notify($1, '')", self._connection.channel)


class PostgresDriver:
    """The driver of driver.py on a PostgreSQL database."""

    dialect: Dialect = "postgres"

    def __init__(self, pool: Pool, watch: Watch, *, serving: bool) -> None:
        self._pool = pool
        self._watch = watch
        self._serving = serving
        if pool.reach is not None:
            pool.reach.on_answer.append(watch.try_again)
            watch.on_silence = pool.reach.suspect
        # Kept, since asyncio.get_running_loop() makes a system call in Python 3.11.
        self._loop = asyncio.get_running_loop()
        self._turns = Turns()
        self._server = ""
        self._full_until = 0.0
        self._trouble = Trouble()
        self._closed = False

    @classmethod
    async def open(
        cls, store: StoreSettings, *, serving: bool, inherited: Sequence[int] | None = None, migrating: bool = True
    ) -> Self:
        """Connect, and migrate or require that it was done; a worker (`inherited`) knows that it was.

        Raises StoreRefused, StoreUnavailable.
        """
        with opening():
            connect = Connector(store)
        with opening(listening_setting(store)):
            connect_to_listen = Connector(store, direct=True)
        with opening():
            driver = cls(await Pool.open(connect, serving=serving), Watch(connect_to_listen), serving=serving)
        try:
            if inherited is None:
                if serving and (connect.pooled or store.listen_url):
                    await require_told(connect, connect_to_listen)
                await (apply_migrations(store) if migrating else _require_migrated(store))
                if serving:
                    await driver._refuse_moved()
            if serving:
                await driver._require_writes()
        except BaseException:
            await driver.close()
            raise
        return driver

    async def _require_writes(self) -> None:
        with opening():
            if await self._pool.only_reads():
                failure = StoreUnavailable()
                failure.detail = "PostgreSQL takes no writes there: default_transaction_read_only is on"
                raise failure

    async def _refuse_moved(self) -> None:
        with opening():
            refuse_moved(await self._pool.run(closing.state_of))

    async def read(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run a SELECT."""
        rows: Sequence[Row] = await self._attempts("read", lambda connection: connection.run_alone(sql, *parameters))
        if len(rows) >= MANY_ROWS:
            # Several connections answer in the same moment.
            await self._turns.turn()
        return rows

    async def write(self, unit: Unit[Result]) -> Result:
        """Run a unit in a transaction, again after a deadlock."""

        async def transaction(connection: Connection) -> Result:
            await connection.begin()
            result = await unit(_Transaction(connection))
            await connection.execute("COMMIT")
            return result

        return await self._attempts("write", transaction)

    async def write_one(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run a statement as its own transaction."""
        return await self._attempts("write", lambda connection: connection.run_alone(sql, *parameters))

    async def _attempts(
        self,
        operation: Operation,
        work: Callable[[Connection], Awaitable[Result]],
        patience: Patience | None = None,
    ) -> Result:
        """Do `work` with a connection, again after an error of _ONCE_MORE.

        A server has the time of `patience` for all of it: getting a connection, the statements, and the commit. A
        command has no such limit, but each of its statements has a timeout.
        """
        patience = patience or current_patience()
        begun = self._loop.time()
        with asking(self._trouble, operation):
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
            return await self._attempts("read", lambda connection: connection.run_alone(sql, *parameters), patience)
        return rows

    async def added_since(self, cursor: str, table: str, columns: str, packed: str) -> Added:
        """Compare snapshots (added.py)."""
        words = {"table": table, "columns": columns, "packed": packed}
        added = await added_since(self.read_soon, cursor, words)
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
            raise self._trouble.failed("write", asyncpg.DiskFullError(), "the disk of PostgreSQL was full a moment ago")

    def in_list(self, column: str) -> str:
        """Compare with an array."""
        return f"{column} = ANY($1::text[])"

    def list_value(self, values: Sequence[str]) -> Any:
        """The list itself, which asyncpg sends as an array."""
        return values

    def locking(self, select: str) -> str:
        """Add FOR UPDATE. PostgreSQL sorts the rows first, then locks them."""
        return f"{select} FOR UPDATE"

    async def check_rest(self) -> None:
        """Nothing: PostgreSQL looks after its own files."""

    async def refusal_of_damage(self) -> StoreRefused | None:
        """None: it tells of damage itself."""
        return None

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


async def pending_migrations(store: StoreSettings) -> list[Migration]:
    """The migrations that the database needs. Changes nothing. Raises StoreRefused, StoreUnavailable."""
    async with _connected(store) as (connection, _):
        return await postgres_schema.pending_migrations(connection)


async def _require_migrated(store: StoreSettings) -> None:
    async with _connected(store) as (connection, _):
        await postgres_schema.require_migrated(connection)


async def live_nodes(store: StoreSettings) -> list[LiveNode]:
    """The servers that use the database now. Raises StoreRefused, StoreUnavailable."""
    async with _connected(store) as (connection, _):
        return await postgres_schema.live_nodes(connection)


async def apply_migrations(store: StoreSettings) -> list[str]:
    """Bring the database up to date; the names of what was applied. Raises StoreRefused, StoreUnavailable."""
    async with _connected(store) as (connection, connect):
        if connection.pooled and await postgres_schema.pending_migrations(connection):
            # What sets a session has to be kept from one statement to the next.
            await require_told(connect, connect)
            await connection.set_for_session(store)
        return await postgres_migrate.apply_migrations(connection, connect)


@asynccontextmanager
async def _connected(store: StoreSettings) -> AsyncIterator[tuple[Connection, Connector]]:
    """A connection whose session is ours alone, if the settings have a URL for that."""
    with opening(listening_setting(store)):
        connect = Connector(store, direct=True)
        connection = await connect()
        try:
            yield connection, connect
        finally:
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=TIDY_SECONDS)
