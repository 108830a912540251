"""A PostgreSQL store that is made of another one. All of it is one transaction, so it is there whole or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import asyncpg

from server.core.errors import StoreRefused, StoreUnavailable
from server.database.postgres import closing
from server.database.postgres.connect import Connector
from server.database.postgres.connection import Connection
from server.database.postgres.migrate import run_in_transaction
from server.database.postgres.schema import PLACE, lock, pending_migrations
from server.database.store_state import StoreState
from server.database.transfer.postgres_tables import STEP_SECONDS, PostgresTables, require_same_program, told
from server.database.transfer.table import Rows, Table
from server.settings.masking import masked_url
from server.settings.tree import StoreSettings

# An index of millions of rows takes minutes; a commit waits for the disk, and perhaps for standbys.
_LONG_SECONDS = 3600.0
# A node that starts on the same database may be migrating it.
_NODE_LOCK = "10s"
# These have rows without any data of users: migrations and checks of readiness write them.
_NO_DATA = ("audit_head", "readiness")
# Indexes that can be made again, of tables of ours.
_INDEXES = (
    "SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS sql FROM pg_catalog.pg_index "
    "JOIN pg_catalog.pg_class ON pg_class.oid = indrelid "
    "JOIN pg_catalog.pg_namespace ON relnamespace = pg_namespace.oid "
    "WHERE nspname = $1 AND NOT indisunique AND pg_has_role(relowner, 'USAGE')"
)


class PostgresTarget(PostgresTables):
    """See ends.py."""

    url_is = "--to"

    def __init__(self, connect: Connector, connection: Connection) -> None:
        super().__init__(masked_url(connect.url), connection)
        self._connect = connect
        self._arrived: StoreState | None = None
        self._indexes: list[str] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, store: StoreSettings, nonce: int | None) -> AsyncIterator[Self]:
        """Begin the transaction, and make the tables in it. `nonce` is that of a source on PostgreSQL.

        Raises StoreRefused if it holds data, is the source itself, or can't be used.
        """
        with told(cls.url_is):
            connect = Connector(store)
            connection = await connect(command_timeout=STEP_SECONDS)
        try:
            with told(cls.url_is):
                await connection.begin()
                await connection.execute(
                    "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; "
                    f"SET LOCAL lock_timeout = '{_NODE_LOCK}'"
                )
                await _refuse_itself(connection, nonce)
                await lock(connection, "migrations")
                await run_in_transaction(connection, await pending_migrations(connection))
                await require_same_program(connection)
            target = cls(connect, connection)
            await target._make_empty()
            yield target
        finally:
            # This ends the transaction, unless it was committed.
            connection.terminate()

    async def _make_empty(self) -> None:
        with told(self.url_is):
            for name in await closing.written_tables(self._connection):
                # Locks the table, so nobody writes into it before the commit.
                await self._connection.execute(f"LOCK TABLE {self._name(name)} IN EXCLUSIVE MODE")
                rows = await self._connection.fetch(f"SELECT FROM {self._name(name)} LIMIT 1")
                if rows and name not in _NO_DATA:
                    raise StoreRefused(
                        f"{PLACE} holds data already (in the table {name}); name an empty one with --to, or drop the "
                        f"schema {self._connection.schema} there if nobody needs it"
                    )
            for name in _NO_DATA:
                await self._connection.execute(f"DELETE FROM {self._name(name)}")
            # An index that is made of all rows at once takes a quarter of the time.
            for index in await self._connection.fetch(_INDEXES, self._connection.schema):
                await self._connection.execute(f"DROP INDEX {index['name']}")
                self._indexes.append(index["sql"])

    async def write(self, table: Table, rows: Rows) -> None:
        """Add rows by COPY."""
        with told(self.url_is):
            try:
                await self._connection.copy_records_to_table(
                    table.name,
                    schema_name=self._connection.schema,
                    columns=table.moved_columns,
                    records=rows,
                    timeout=STEP_SECONDS,
                )
            except asyncpg.DataError as error:
                raise StoreRefused(
                    f"PostgreSQL can't hold a value of the table {table.name} ({error.args[0]}); change it, then move"
                ) from error

    async def set_counter(self, table: Table, value: int) -> None:
        """Let the sequence go on from there. A sequence can't be at 0, but it can be before 1."""
        await self._value("SELECT setval($1::regclass, $2, $3)", self._counters[table.name], max(value, 1), value > 0)

    async def prepare(self, arrived: StoreState) -> None:
        """Make the indexes, and let the planner know the tables, since the first queries come at once."""
        self._arrived = arrived
        with told(self.url_is):
            for index in self._indexes:
                await self._connection.execute(index, timeout=_LONG_SECONDS)
            await closing.set_state(self._connection, arrived)
            for name in await closing.written_tables(self._connection):
                await self._connection.execute(f"ANALYZE {self._name(name)}", timeout=_LONG_SECONDS)

    async def finish(self) -> None:
        """Commit. If the connection is lost meanwhile, look whether it was done."""
        try:
            with told(self.url_is):
                await self._connection.execute("COMMIT", timeout=_LONG_SECONDS)
        except StoreUnavailable as error:
            if not await self._has_arrived():
                raise StoreRefused(error.detail) from error

    async def _has_arrived(self) -> bool:
        """Raises StoreUnavailable if it can't be found out."""
        with told(self.url_is):
            connection = await self._connect(command_timeout=STEP_SECONDS)
            try:
                await connection.begin()
                # It is free when the transaction has ended, however it did.
                await connection.execute(f"SET LOCAL lock_timeout = '{_NODE_LOCK}'")
                await lock(connection, "migrations")
                return await closing.state_of(connection) == self._arrived
            finally:
                connection.terminate()


async def _refuse_itself(connection: Connection, nonce: int | None) -> None:
    """Raise StoreRefused for the database of the source, by whatever name: there a lock of the source is seen."""
    if nonce is not None:
        ((is_free,),) = await connection.fetch(f"SELECT pg_try_advisory_xact_lock({nonce})")
        if not is_free:
            raise StoreRefused("--to leads to this store itself; name another database")
