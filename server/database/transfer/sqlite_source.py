"""An SQLite store that is moved. While it is held, SQLite's own write lock keeps every other program from writing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self

from server.core.errors import StoreRefused
from server.database.migration_files import latest_migration
from server.database.pending_migrations import not_migrated
from server.database.sqlite import closing
from server.database.sqlite import file as sqlite_file
from server.database.sqlite.connections import close_under_lock, connect_beside_servers
from server.database.sqlite.contents import beside
from server.database.sqlite.refusals import refusals
from server.database.store_state import StoreState
from server.database.transfer.sqlite_tables import SqliteTables
from server.database.transfer.table import refuse_newer
from server.files.fair_lock import FairLock
from server.files.file_lock import FileLock, to_the_end


class SqliteSource(SqliteTables):
    """See ends.py."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: FairLock) -> None:
        super().__init__(path, connection)
        self._lock = lock
        self.nonce: int | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path) -> AsyncIterator[Self]:
        """Open the file, which a server may use. Raises StoreRefused, also if it needs migrations."""
        await asyncio.to_thread(sqlite_file.prepare_folder, path, making=False)
        lock = FairLock(beside(path, ".write-lock"))
        try:
            async with lock.held():
                connection = await to_the_end(_open, path)
            try:
                yield cls(path, connection, lock)
            finally:
                await close_under_lock(connection, lock)
        finally:
            lock.close()

    async def state(self) -> StoreState | None:
        """Whether it was moved already."""
        with refusals(self._path):
            return await to_the_end(closing.state_of, self._connection)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Read what is there at one moment, while others write."""
        with refusals(self._path):
            await to_the_end(self._connection.execute, "BEGIN")
        try:
            yield
        finally:
            await self._roll_back()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Let nobody write."""
        lock_file = beside(self._path, closing.MOVE_LOCK)
        mover = FileLock(lock_file)
        try:
            if not mover.try_acquire():
                raise StoreRefused(f"{self._path} is being moved by another process; wait for it")
            with refusals(self._path):
                # Under this lock nobody else holds that of SQLite, except for other programs.
                async with self._lock.held():
                    await to_the_end(self._connection.execute, "BEGIN IMMEDIATE")
            try:
                yield
            finally:
                await self._roll_back()
                with suppress(OSError):
                    await asyncio.to_thread(lock_file.unlink)
        finally:
            mover.close()

    async def alive(self) -> None:
        """Does nothing: the lock can't be lost."""

    async def close(self, moved: StoreState) -> None:
        """Make the triggers, in the transaction that has kept others from writing."""
        with refusals(self._path):
            async with self._lock.held():
                await to_the_end(self._close, moved)

    def _close(self, moved: StoreState) -> None:
        closing.close(self._connection, moved)
        self._connection.execute("COMMIT")

    async def reopen(self) -> None:
        """Remove the triggers."""
        with refusals(self._path):
            async with self._lock.held():
                await to_the_end(self._reopen)

    def _reopen(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            closing.reopen(self._connection)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    async def _roll_back(self) -> None:
        if self._connection.in_transaction:
            await to_the_end(self._connection.execute, "ROLLBACK")


def _open(path: Path) -> sqlite3.Connection:
    if wanted := sqlite_file.inspect(path, thorough=False):
        raise not_migrated(str(path), wanted)
    with refusals(path):
        connection = connect_beside_servers(path)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            (found,) = connection.execute("SELECT max(version) FROM schema_migrations").fetchone()
            refuse_newer(str(path), found, latest_migration("sqlite"))
        except BaseException:
            connection.close()
            raise
        return connection
