"""SQLite, through aiosqlite: one writing connection, several that only read.

SQLite 3.7.0 to 3.51.2 can corrupt the log of a database when two connections write or checkpoint at the same instant.
So whatever writes or checkpoints, in any process, holds the lock on `<file>.write-lock` meanwhile: the groups of the
writer, and opening and closing, since the last connection that closes checkpoints.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import aiosqlite
import orjson

from server.core.errors import StoreRefused, StoreUnavailable
from server.database.driver import Added, Dialect, Result, Row, Transaction, Unit
from server.database.sqlite import file as sqlite_file
from server.database.sqlite.connections import close_connections, connect_reader, connect_writer
from server.database.sqlite.contents import beside
from server.database.sqlite.file_watch import FileWatch
from server.database.sqlite.group_writer import GroupWriter
from server.database.sqlite.migrate import migrate
from server.database.sqlite.reader import Reader, waiting
from server.files.file_lock import FairLock, FileLock

# Enough that a long listing does not hold up the short reads; more would only compete for the interpreter.
SERVING_READERS = 3
POLL_SECONDS = 0.2
CLOSE_SECONDS = 3.0

# By the counter of AUTOINCREMENT, which outlives the rows, so the cursor never goes back.
_ADDED_SINCE = (
    "SELECT COALESCE((SELECT seq FROM sqlite_sequence WHERE name = '{table}'), 0) AS cursor, "
    "CAST($1 AS INTEGER) = 0 AS whole, seq, {columns} "
    "FROM (SELECT 1) LEFT JOIN {table} ON seq > CAST($1 AS INTEGER) ORDER BY seq"
)
# The files are looked at by a function of the connection: on its thread, and bounded as its reads are.
_LOOK = "SELECT data_version, files_amiss() FROM pragma_data_version"


class SqliteDriver:
    """The driver of driver.py on a file."""

    dialect: Dialect = "sqlite"

    def __init__(
        self,
        writer: GroupWriter,
        readers: Sequence[aiosqlite.Connection],
        watch: FileWatch,
        resources: AsyncExitStack,
    ) -> None:
        self._writer = writer
        self._readers = [Reader(connection) for connection in readers]
        self._watch = watch
        self._resources = resources
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._data_version: int | None = None

    @classmethod
    async def open(cls, path: Path, *, serving: bool, name: Path | None = None) -> Self:
        """Open the file, made and migrated if need be. `serving`: refuse if another process serves it.

        `name` leads to the file, by links perhaps; if it leads elsewhere one day, the file was replaced.

        Raises StoreRefused; StoreUnavailable if other processes hold the write lock for long.
        """
        await asyncio.to_thread(sqlite_file.prepare_folder, path)
        async with AsyncExitStack() as opening:
            lock = FairLock(beside(path, ".write-lock"))
            opening.callback(lock.close)
            serve_lock = FileLock(beside(path, ".serve-lock"))
            opening.callback(serve_lock.close)
            async with lock.held():
                if serving and not serve_lock.try_acquire():
                    raise StoreRefused(
                        f"{path} is already served by another process; stop it, or give this one another store.url"
                    )
                await migrate(path, serve_lock, serving=serving)
                connection = await connect_writer(path, serving=serving)
                readers: list[aiosqlite.Connection] = []
                opening.push_async_callback(close_connections, path, connection, readers, lock)
                watch = await asyncio.to_thread(FileWatch, path, name or path)
            while len(readers) < (SERVING_READERS if serving else 1):
                readers.append(await connect_reader(path))
            await readers[0].create_function("files_amiss", 0, lambda: watch.amiss)
            writer = await GroupWriter.start(connection, lock, watch)
            opening.push_async_callback(writer.close)
            return cls(writer, readers, watch, opening.pop_all())

    async def read(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run a SELECT, in one hop to a reading connection."""
        self._require_open()
        return await min(self._readers, key=waiting).fetch(sql, parameters)

    def _require_open(self) -> None:
        if self._closed or self._watch.taken:
            raise StoreUnavailable

    async def read_soon(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """As any other: a reader that is free is found."""
        return await self.read(sql, *parameters)

    async def write(self, unit: Unit[Result]) -> Result:
        """Run a unit in the next group."""
        return await self._writer.write(unit)

    async def write_one(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run a statement in the next group."""
        return await self._writer.write_one(sql, parameters)

    async def added_since(self, cursor: str, table: str, columns: str) -> Added:
        """In one read; where nothing was added, there is one row without `seq`."""
        rows = await self.read(_ADDED_SINCE.format(table=table, columns=columns), cursor)
        first = rows[0]
        return Added(str(first["cursor"]), bool(first["whole"]), [row for row in rows if row["seq"] is not None])

    async def wait_for_change(self, timeout_seconds: float) -> None:
        """By `PRAGMA data_version`, which differs once another connection has written, of this process or another."""
        deadline = self._loop.time() + timeout_seconds
        while not self._closed and self._loop.time() < deadline:
            # First the pause: under a steady stream of writes there is always something new.
            await asyncio.sleep(POLL_SECONDS)
            self._require_open()
            # Always the same connection: the number means nothing on another one.
            ((data_version, amiss),) = await self._readers[0].fetch(_LOOK, ())
            if amiss:
                # The writer looks closer, since nobody may write meanwhile.
                await self._writer.write(_nothing)
            if data_version != self._data_version:
                self._data_version = data_version
                return

    def require_room(self) -> None:
        """Each write needs room in the log, so a small one tells."""

    def in_list(self, column: str) -> str:
        """One parameter however many values, so one text, which SQLite prepares once."""
        return f"{column} IN (SELECT value FROM json_each($1))"

    def list_value(self, values: Sequence[str]) -> Any:
        """As JSON."""
        return orjson.dumps(values).decode()

    def locking(self, select: str) -> str:
        """As it is: one unit writes at a time."""
        return select

    async def close(self) -> None:
        """Write what waits, then close everything; in CLOSE_SECONDS, or the rest ends with the process."""
        if self._closed:
            return
        self._closed = True
        for reader in self._readers:
            await reader.connection.interrupt()
        closing = asyncio.create_task(self._resources.aclose(), name="sqlite closing")
        await asyncio.wait([closing], timeout=CLOSE_SECONDS)
        if closing.done():
            closing.result()


async def _nothing(_: Transaction) -> None:
    """A unit."""
