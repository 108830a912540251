"""An SQLite store that is made of another one. Until it is complete and checked, it has no name."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Self

from server.core.errors import FileRefused, StoreRefused
from server.database.migration_files import migrations
from server.database.sqlite.closing import set_state, written_tables
from server.database.sqlite.contents import uri
from server.database.sqlite.file import refuse_no_file
from server.database.sqlite.migrate import apply_to_draft
from server.database.sqlite.new_store import Drafts, give_names, new_store, problem_of, refuse_present
from server.database.store_state import StoreState
from server.database.transfer.sqlite_tables import SqliteTables
from server.database.transfer.table import Rows, Table
from server.files import drafts
from server.files.file_lock import to_the_end
from server.files.ownership import why_denied
from server.files.syncing import sync


class SqliteTarget(SqliteTables):
    """See ends.py. `key` is the master key file to put beside it."""

    def __init__(self, path: Path, connection: sqlite3.Connection, made: Drafts, key: bytes | None) -> None:
        super().__init__(path, connection)
        self._made = made
        self._key = key

    @staticmethod
    def check(path: Path, source: str) -> None:
        """Raise StoreRefused if it can't be made there. `source` is the path of the source. Changes nothing."""
        with suppress(OSError):
            if Path(source).samefile(path):
                raise StoreRefused(f"--to leads to this store itself, {path}; name another place")
        refuse_no_file(path)
        refuse_present(path, None)
        folder = next(folder for folder in path.parents if folder.exists())
        if reason := why_denied([folder / path.name]):
            raise StoreRefused(reason)

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, key: bytes | None) -> AsyncIterator[Self]:
        """Make the tables in a draft. It is removed at the end, if it has no name by then."""
        async with new_store(path) as made:
            with _told(path):
                connection = await to_the_end(_make, path, made.database)
            try:
                yield cls(path, connection, made, key)
            finally:
                connection.close()

    async def write(self, table: Table, rows: Rows) -> None:
        """Add rows. Triggers fill the index for search."""
        columns = table.moved_columns
        sql = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        with _told(self._path):
            await to_the_end(self._connection.executemany, sql, rows)

    async def set_counter(self, table: Table, value: int) -> None:
        """Let AUTOINCREMENT go on from there."""
        await to_the_end(self._set_counter, table, value)

    def _set_counter(self, table: Table, value: int) -> None:
        with _told(self._path):
            self._connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", [table.name])
            self._connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", [table.name, value])

    async def prepare(self, arrived: StoreState) -> None:
        """Check the file and write it to the disk."""
        await to_the_end(self._prepare, arrived)

    def _prepare(self, arrived: StoreState) -> None:
        with _told(self._path):
            set_state(self._connection, arrived)
            self._connection.execute("COMMIT")
            self._connection.close()
            sync(self._made.database)
            problem = problem_of(self._made.database)
        if problem is not None:
            raise StoreRefused(f"{self._path} would be damaged ({problem}); check the disk")

    async def finish(self) -> None:
        """Give it its name."""
        await give_names(self._made, self._path, self._key)


def _make(path: Path, draft: Path) -> sqlite3.Connection:
    os.close(drafts.make(draft, owner_of=path))
    apply_to_draft(draft, migrations("sqlite"))
    connection = sqlite3.connect(uri(draft, "mode=rw"), uri=True, isolation_level=None, check_same_thread=False)
    try:
        # No journal is needed: the draft is removed after a failure.
        for setting in ("journal_mode = OFF", "synchronous = OFF", "trusted_schema = ON"):
            connection.execute(f"PRAGMA {setting}")
        connection.execute("BEGIN")
        for table in written_tables(connection):
            connection.execute(f"DELETE FROM {table}")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn errors of the draft into FileRefused, which names the file that was asked for."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise FileRefused(f"{path} can't be written ({error}); is the disk full?") from error
