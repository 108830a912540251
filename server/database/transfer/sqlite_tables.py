"""Reads the tables of an SQLite file. These functions block."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

from server.database.sqlite.closing import written_tables
from server.database.sqlite.refusals import refusals
from server.database.transfer.table import ROWS, Rows, Table
from server.files.file_lock import to_the_end


class SqliteTables:
    """The part that source and target have in common. `connection` is used by different threads, one at a time."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.place = str(path)
        self._path = path
        self._connection = connection

    async def tables(self) -> dict[str, Table]:
        """The tables that are moved."""
        return await to_the_end(self._tables)

    def _tables(self) -> dict[str, Table]:
        with refusals(self._path):
            return {name: self._table(name) for name in written_tables(self._connection)}

    def _table(self, name: str) -> Table:
        columns = self._connection.execute("SELECT name, pk FROM pragma_table_info(?)", [name]).fetchall()
        refers_to = self._connection.execute('SELECT "table" FROM pragma_foreign_key_list(?)', [name]).fetchall()
        ((sql,),) = self._connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", [name]).fetchall()
        key = sorted((place, column) for column, place in columns if place)
        return Table(
            name,
            tuple(column for column, _ in columns),
            tuple(column for _, column in key),
            frozenset(other for (other,) in refers_to),
            counts_up="AUTOINCREMENT" in sql,
        )

    async def count(self, table: Table) -> int:
        """The number of its rows."""
        return (await self._fetch(f'SELECT count(*) FROM "{table.name}"'))[0]

    async def counter(self, table: Table) -> int:
        """The last number of AUTOINCREMENT."""
        sql = f"SELECT COALESCE((SELECT seq FROM sqlite_sequence WHERE name = '{table.name}'), 0)"
        return (await self._fetch(sql))[0]

    async def rows(self, table: Table) -> AsyncIterator[Rows]:
        """All rows in chunks, in the order of the primary key. Texts compare by byte."""
        sql = f'SELECT {", ".join(table.moved_columns)} FROM "{table.name}" ORDER BY {", ".join(table.key)}'
        with refusals(self._path):
            cursor = await to_the_end(self._connection.execute, sql)
            while chunk := await to_the_end(cursor.fetchmany, ROWS):
                yield chunk

    async def _fetch(self, sql: str) -> tuple[int, ...]:
        with refusals(self._path):
            cursor = await to_the_end(self._connection.execute, sql)
            row: tuple[int, ...] = cursor.fetchone()
            return row
