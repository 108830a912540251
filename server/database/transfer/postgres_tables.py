"""Reads the tables of a PostgreSQL schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg

from server.database.migration_files import latest_migration
from server.database.postgres import closing
from server.database.postgres.connection import Connection
from server.database.postgres.errors import opening
from server.database.postgres.schema import PLACE, require_migrated
from server.database.transfer.table import ROWS, Rows, Table, refuse_newer

# How long one statement, or one chunk of rows, may take before the other side counts as lost.
STEP_SECONDS = 60.0
# The table $2 of the schema $1.
_OID = (
    "(SELECT pg_class.oid FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON relnamespace = pg_namespace.oid "
    "WHERE nspname = $1 AND relname = $2)"
)
_COLUMNS = (
    "SELECT attname::text AS name, atttypid = 'text'::regtype AS is_text, "
    "array_position(indkey::int2[], attnum) AS place, "
    f"pg_get_serial_sequence({_OID}::regclass::text, attname) AS counter FROM pg_catalog.pg_attribute "
    f"LEFT JOIN pg_catalog.pg_index ON indrelid = attrelid AND indisprimary WHERE attrelid = {_OID} "
    "AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
)
_REFERS_TO = (
    "SELECT relname::text AS name FROM pg_catalog.pg_constraint JOIN pg_catalog.pg_class ON confrelid = pg_class.oid "
    f"WHERE contype = 'f' AND conrelid = {_OID}"
)


class PostgresTables:
    """The part that source and target have in common, on a connection that has begun a transaction."""

    # Where the URL is.
    url_is = "store.url"

    def __init__(self, place: str, connection: Connection) -> None:
        self.place = place
        self._connection = connection
        self._counters: dict[str, str] = {}
        self._by_byte: dict[str, list[str]] = {}

    async def tables(self) -> dict[str, Table]:
        """The tables that are moved."""
        with told(self.url_is):
            return {name: await self._table(name) for name in await closing.written_tables(self._connection)}

    async def _table(self, name: str) -> Table:
        columns = await self._connection.fetch(_COLUMNS, self._connection.schema, name)
        refers_to = await self._connection.fetch(_REFERS_TO, self._connection.schema, name)
        key = sorted((row["place"], row["name"]) for row in columns if row["place"] is not None)
        texts = {row["name"] for row in columns if row["is_text"]}
        # Texts compare by byte, as in SQLite, whatever the column says.
        self._by_byte[name] = [f'{column} COLLATE "C"' if column in texts else column for _, column in key]
        for counter in (row["counter"] for row in columns if row["counter"]):
            self._counters[name] = counter
        return Table(
            name,
            tuple(row["name"] for row in columns),
            tuple(column for _, column in key),
            frozenset(row["name"] for row in refers_to),
            counts_up=name in self._counters,
        )

    async def count(self, table: Table) -> int:
        """The number of its rows."""
        return int(await self._value(f"SELECT count(*) FROM {self._name(table.name)}"))

    async def counter(self, table: Table) -> int:
        """The last number of its sequence."""
        return int(await self._value(f"SELECT last_value - (NOT is_called)::int FROM {self._counters[table.name]}"))

    async def rows(self, table: Table) -> AsyncIterator[Rows]:
        """All rows in chunks, in the order of the primary key."""
        sql = (
            f"SELECT {', '.join(table.moved_columns)} FROM {self._name(table.name)} "
            f"ORDER BY {', '.join(self._by_byte[table.name])}"
        )
        with told(self.url_is):
            # Not a cursor of asyncpg, which stays open until the transaction ends, and keeps the table in use.
            await self._connection.execute(f"DECLARE rows_of_{table.name} NO SCROLL CURSOR FOR {sql}")
            while chunk := await self._connection.fetch(f"FETCH {ROWS} FROM rows_of_{table.name}"):
                yield [tuple(row) for row in chunk]
            await self._connection.execute(f"CLOSE rows_of_{table.name}")

    def _name(self, table: str) -> str:
        return f'"{self._connection.schema}"."{table}"'

    async def _value(self, sql: str, *parameters: Any) -> Any:
        with told(self.url_is):
            rows = await self._connection.fetch(sql, *parameters)
            return rows[0][0]


@contextmanager
def told(url_is: str) -> Iterator[None]:
    """Turn errors of asyncpg into messages of one line, which say where the URL is: in store.url or --to."""
    with opening(url_is):
        try:
            yield
        except asyncpg.InterfaceError as error:
            if isinstance(error, ValueError):
                raise
            # This is what asyncpg says of a connection that was lost a moment ago.
            raise ConnectionError(str(error)) from error


async def require_same_program(connection: Connection) -> None:
    """Raise StoreRefused unless all tables are those of this program: of another one, columns could be missing."""
    await require_migrated(connection)
    rows = await connection.fetch(f'SELECT max(version) FROM "{connection.schema}".schema_migrations')
    refuse_newer(PLACE, rows[0][0], latest_migration("postgres"))
