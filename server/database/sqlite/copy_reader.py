"""Reads an SQLite store that is not in use, such as a backup, without changing or making any file beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from server.core.errors import StoreRefused
from server.database.driver import Dialect, Row
from server.database.migration_files import Migration, migrations
from server.database.sqlite import file as sqlite_file
from server.database.sqlite.contents import beside, uri
from server.database.sqlite.refusals import damaged, refusals
from server.database.sqlite.statements import bound


class CopyReader:
    """The part of a Driver that reads, for repositories. `pending` are the migrations that the copy still needs."""

    dialect: Dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection, pending: Sequence[Migration]) -> None:
        self.pending = pending
        self.connection = connection

    async def read(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run a SELECT, on this thread: nothing else is to be done meanwhile."""
        rows: Sequence[Row] = self.connection.execute(sql, bound(parameters)).fetchall()
        return rows

    async def read_soon(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """The same as `read`."""
        return await self.read(sql, *parameters)


@contextmanager
def open_copy(path: Path) -> Iterator[CopyReader]:
    """Open a store that is whole without a log. Raises StoreRefused if it is none, is in use, or is newer than this."""
    sqlite_file.refuse_no_file(path)
    with refusals(path):
        if not path.exists():
            raise StoreRefused(f"there is no {path}; name the file that `store backup` has made")
        used = [beside(path, ending).name for ending in ("-wal", "-shm", "-journal") if beside(path, ending).exists()]
        if used:
            raise StoreRefused(
                f"{path} is not whole without what is beside it ({', '.join(used)}), or a server runs on it; "
                "let `store backup` make a copy of it"
            )
        with closing(_connect(path, "mode=ro&immutable=1")) as connection:
            if path.stat().st_size == 0:
                raise damaged(path, "the file is empty")
            wanted = sqlite_file.pending_of(connection, path, migrations("sqlite"))
            if wanted == migrations("sqlite"):
                raise damaged(path, "it has no tables")
            yield CopyReader(connection, wanted)


@contextmanager
def open_moved_away(path: Path) -> Iterator[CopyReader]:
    """Open a store that was moved away, with its log if it has one. Raises StoreRefused, sqlite3.Error."""
    sqlite_file.refuse_no_file(path)
    with refusals(path):
        if not path.exists():
            raise StoreRefused(f"there is no {path}")
    mode = "mode=ro" if beside(path, "-wal").exists() else "mode=ro&immutable=1"
    with closing(_connect(path, mode)) as connection:
        yield CopyReader(connection, [])


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri(path, mode), uri=True, isolation_level=None, timeout=sqlite_file.LOCK_SECONDS)
    connection.row_factory = sqlite3.Row
    return connection
