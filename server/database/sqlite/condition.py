"""Looks at an SQLite store, also one that a server has open, without changing it: for `doctor`, and before a backup."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from server.core.errors import StoreRefused
from server.database.driver import Row
from server.database.migration_files import Migration, migrations
from server.database.sqlite.contents import LOCKS, beside, uri
from server.database.sqlite.copy_reader import CopyReader
from server.database.sqlite.file import LOCK_SECONDS, inspect, pending_of
from server.database.sqlite.integrity import problem_in
from server.database.sqlite.refusals import damaged, refusals, refuse_denied
from server.files.fair_lock import FairLock
from server.files.file_lock import to_the_end

# How much is written to find out whether the disk takes it: more than a commit of a login.
_TRIED_BYTES = 256 * 1024
# Other processes hold the write lock for moments only.
_WAIT_SECONDS = 2.0


@asynccontextmanager
async def _writers_waiting(path: Path) -> AsyncIterator[None]:
    """Hold the write lock, if there is one. It is never made here."""
    if not beside(path, ".write-lock").exists():
        yield
        return
    lock = FairLock(beside(path, ".write-lock"))
    try:
        async with lock.held(_WAIT_SECONDS):
            yield
    finally:
        lock.close()


async def pending(path: Path) -> list[Migration]:
    """The migrations that the file needs. It reads no more than the start of a server has to.

    Raises StoreRefused for a file that no server would open, and StoreUnavailable.
    """
    async with _writers_waiting(path):
        return await to_the_end(partial(inspect, path, thorough=False))


class _Reader(CopyReader):
    """Reads a file that may be damaged. Raises StoreRefused."""

    def __init__(self, path: Path, connection: sqlite3.Connection, pending: Sequence[Migration]) -> None:
        super().__init__(connection, pending)
        self._path = path

    async def read(self, sql: str, *parameters: Any) -> Sequence[Row]:
        with refusals(self._path):
            return await super().read(sql, *parameters)


@contextmanager
def opened(path: Path) -> Iterator[CopyReader]:
    """A reader of the store as it is now. Raises StoreRefused."""
    with refusals(path), closing(_connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        yield _Reader(path, connection, pending_of(connection, path, migrations("sqlite")))


async def find_damage(path: Path) -> None:
    """Read every page, and compare indexes with their tables, while others go on writing. Raises StoreRefused."""
    await asyncio.to_thread(_find_damage, path)


def _find_damage(path: Path) -> None:
    with refusals(path), closing(_connect(path)) as connection:
        problem = problem_in(connection, "integrity_check")
    if problem is not None:
        raise damaged(path, problem)


async def try_write(path: Path) -> None:
    """Find out whether a write would succeed, and leave nothing of it. Raises StoreRefused, StoreUnavailable."""
    await asyncio.to_thread(refuse_denied, path)
    async with _writers_waiting(path):
        await to_the_end(_try_write, path)


def _try_write(path: Path) -> None:
    with refusals(path):
        # A file without a name, or with one that is gone at once where the file system knows none.
        with tempfile.TemporaryFile(dir=path.parent) as file:
            file.write(bytes(_TRIED_BYTES))
            file.flush()
            os.fsync(file.fileno())
        if beside(path, "-shm").exists():
            # Somebody has it open, or a crash has left it, so a connection makes no file.
            with closing(_connect(path)) as last:
                # SQLite writes the log back when the last connection closes, unless this one can't write.
                last.execute("SELECT 1 FROM schema_migrations").fetchone()
                _take_lock(path)


def _take_lock(path: Path) -> None:
    """Take and release SQLite's own lock, which another program may hold. Raises sqlite3.Error."""
    where = uri(path, "mode=rw")
    with closing(sqlite3.connect(where, uri=True, isolation_level=None, timeout=LOCK_SECONDS)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")


def _connect(path: Path) -> sqlite3.Connection:
    """A connection that only reads. It makes no file: without a log nobody has the file open."""
    in_use = any(beside(path, ending).exists() for ending in ("-wal", "-shm"))
    mode = "mode=ro" if in_use else "mode=ro&immutable=1"
    return sqlite3.connect(uri(path, mode), uri=True, isolation_level=None, timeout=LOCK_SECONDS)


def size_of(path: Path) -> int:
    """The bytes of the database without its log."""
    return path.stat().st_size


def files(path: Path) -> list[Path]:
    """The files of the store that are there."""
    endings = ("", "-wal", "-shm", "-journal", ".key", ".key.lock", *LOCKS)
    return [file for ending in endings if os.path.lexists(file := beside(path, ending))]


def left_over(path: Path) -> list[Path]:
    """What interrupted commands have left in the folder."""
    with suppress(OSError):
        return sorted(
            file for file in path.parent.iterdir() if ".unfinished-" in file.name or file.name in _unfinished(path)
        )
    return []


def _unfinished(path: Path) -> set[str]:
    return {f"{path.name}.new", f"{path.name}.key.new"}


def nearest_folder(path: Path) -> Path:
    """The folder of the store, or the one above it that is there and can be looked at."""
    # Path.is_dir() raises PermissionError.
    return next(upper for upper in path.parents if os.path.isdir(upper))  # noqa: PTH112


def require_place(path: Path) -> None:
    """Raise StoreRefused if a server could not make its store there."""
    folder = nearest_folder(path)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StoreRefused(
            f"no store can be made in {folder}, which this user can't write to; choose another store.url"
        )
