"""SQLite, through aiosqlite: one writing connection, several that only read.

SQLite 3.7.0 to 3.51.2 can corrupt the log of a database when two connections write or checkpoint at the same moment. So
every process holds the lock on `<file>.write-lock` when it writes a group, and when it opens or closes the file, since
the last connection that closes makes a checkpoint.
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
from server.core.turns import MANY_ROWS, Turns
from server.database.driver import Added, Dialect, Result, Row, Transaction, Unit
from server.database.failure import Trouble
from server.database.sqlite import closing
from server.database.sqlite import file as sqlite_file
from server.database.sqlite.check_note import CheckNote
from server.database.sqlite.connections import close_connections, connect_reader, connect_writer
from server.database.sqlite.contents import beside
from server.database.sqlite.file_watch import FileWatch
from server.database.sqlite.group_writer import GroupWriter
from server.database.sqlite.reader import Reader, waiting
from server.database.sqlite.refusals import damaged
from server.database.sqlite.rest_check import RestCheck
from server.database.sqlite.serving import known_to_server, locked, prepare, require_prepared, serve_lock_of
from server.database.store_state import refuse_moved
from server.files.fair_lock import FairLock

# With several readers a long listing does not delay short reads. More would only compete for the interpreter lock.
SERVING_READERS = 3
POLL_SECONDS = 0.2
CLOSE_SECONDS = 3.0

# With more rows in a page, requests would wait for it; with fewer, the first read would take longer.
ROWS_IN_A_PAGE = 5000
# The cursor is the counter of AUTOINCREMENT. It never goes back, even if rows are deleted.
_COUNTER = "COALESCE((SELECT seq FROM sqlite_sequence WHERE name = '{table}'), 0) AS cursor"
_ADDED_SINCE = (
    f"SELECT {_COUNTER}, seq, {{columns}} FROM (SELECT 1) LEFT JOIN {{table}} ON seq > CAST($1 AS INTEGER) ORDER BY seq"
)
# While all rows are read, it is the last one that was read, with this sign.
_UNFINISHED = "|"
_PAGE = (
    f"SELECT {_COUNTER}, MAX(seq) AS last, COUNT(*) AS found, COUNT(packed) AS texts, "
    "COALESCE(group_concat(packed, ''), '') AS packed "
    "FROM (SELECT seq, {packed} AS packed FROM {table} WHERE seq > CAST($1 AS INTEGER) ORDER BY seq LIMIT $2)"
)
_NOT_PACKED = (
    "SELECT seq, {columns} FROM {table} WHERE seq > CAST($1 AS INTEGER) AND seq <= $2 AND {packed} IS NULL ORDER BY seq"
)
# The files are checked by an SQL function, so this runs on the connection's thread and has the timeout of reads.
_LOOK = "SELECT data_version, files_amiss() FROM pragma_data_version"


class SqliteDriver:
    """The driver of driver.py on a file."""

    dialect: Dialect = "sqlite"

    def __init__(
        self,
        writer: GroupWriter,
        readers: Sequence[Reader],
        watch: FileWatch,
        resources: AsyncExitStack,
        held: Sequence[int],
    ) -> None:
        self._writer = writer
        self._readers = readers
        self._watch = watch
        self._resources = resources
        self._held = held
        self._loop = asyncio.get_running_loop()
        self._turns = Turns()
        self._closed = False
        self._data_version: int | None = None

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        serving: bool,
        name: Path | None = None,
        inherited: Sequence[int] | None = None,
        migrating: bool = True,
    ) -> Self:
        """Open the file; make and migrate it if necessary. With `serving` it is refused if another process serves it.

        Without `migrating` it is refused if it is not there or needs migrations.

        `name` is the path in the settings, which may be a link. If it leads elsewhere later, the file was replaced.
        `inherited` is for a worker (serving.py): the file was prepared already.

        Raises StoreRefused; StoreUnavailable if other processes hold the write lock for too long.
        """
        await asyncio.to_thread(sqlite_file.prepare_folder, path, making=migrating and inherited is None)
        async with AsyncExitStack() as opening:
            lock = FairLock(beside(path, ".write-lock"))
            opening.callback(lock.close)
            serve_lock = None
            if inherited is None:
                serve_lock = serve_lock_of(path)
                opening.callback(serve_lock.close)
            async with locked(path, lock, serve_lock if serving else None):
                if serve_lock is not None:
                    held = await prepare(path, serve_lock, opening, serving=serving, migrating=migrating)
                    if serving:
                        refuse_moved(await asyncio.to_thread(closing.state_at, path))
                else:
                    held = inherited or ()
                    await require_prepared(path, held)
                connection = await connect_writer(path, tries=serving and inherited is None)
                readers: list[aiosqlite.Connection] = []
                opening.push_async_callback(close_connections, path, connection, readers, lock)
                note = CheckNote(held[0]) if held else known_to_server(serve_lock) if serve_lock else None
                watch = await asyncio.to_thread(FileWatch, path, name or path, note)
            while len(readers) < (SERVING_READERS if serving else 1):
                readers.append(await connect_reader(path))
            await readers[0].create_function("files_amiss", 0, lambda: watch.amiss)
            trouble = Trouble(notice=watch.damage.notice)
            writer = await GroupWriter.start(connection, lock, watch, trouble)
            opening.push_async_callback(writer.close)
            return cls(writer, [Reader(one, trouble) for one in readers], watch, opening.pop_all(), held)

    async def read(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run a SELECT on the reading connection with the shortest queue."""
        self._require_open()
        rows = await min(self._readers, key=waiting).fetch(sql, parameters)
        if len(rows) >= MANY_ROWS:
            # The readers answer several calls in the same moment.
            await self._turns.turn()
        return rows

    def _require_open(self) -> None:
        if self._closed:
            raise StoreUnavailable
        if self._watch.taken:
            raise self._watch.refusal()

    async def read_soon(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """The same as `read`: several readers are enough."""
        return await self.read(sql, *parameters)

    async def write(self, unit: Unit[Result]) -> Result:
        """Run a unit in the next group."""
        return await self._writer.write(unit)

    async def write_one(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run a statement in the next group."""
        return await self._writer.write_one(sql, parameters)

    async def added_since(self, cursor: str, table: str, columns: str, packed: str) -> Added:
        """Read cursor and rows with one statement. If nothing was added, it returns one row without `seq`."""
        words = {"table": table, "columns": columns, "packed": packed}
        if cursor == "0" or cursor.endswith(_UNFINISHED):
            after = cursor.removesuffix(_UNFINISHED)
            (page,) = await self.read(_PAGE.format(**words), after, ROWS_IN_A_PAGE)
            others: Sequence[Row] = []
            if page["texts"] < page["found"]:
                others = await self.read(_NOT_PACKED.format(**words), after, page["last"])
            more = page["found"] == ROWS_IN_A_PAGE
            reached = f"{page['last']}{_UNFINISHED}" if more else str(page["cursor"])
            return Added(reached, cursor == "0", more, page["packed"], others)
        rows = await self.read(_ADDED_SINCE.format(**words), cursor)
        there = [row for row in rows if row["seq"] is not None]
        return Added(str(rows[0]["cursor"]), whole=False, more=False, packed="", rows=there)

    async def wait_for_change(self, timeout_seconds: float) -> None:
        """Poll `PRAGMA data_version`, which changes when another connection, of any process, has committed."""
        deadline = self._loop.time() + timeout_seconds
        while not self._closed and self._loop.time() < deadline:
            # The pause is first, since under many writes there is always a change.
            await asyncio.sleep(POLL_SECONDS)
            if self._watch.taken:
                # The writer looks whether the files are back.
                await self._writer.write(_nothing)
            self._require_open()
            # Always on the same connection, since each connection has its own number.
            ((data_version, amiss),) = await self._readers[0].fetch(_LOOK, ())
            if amiss or self._watch.damage.is_due:
                # The writer checks the files in detail, because it holds the write lock.
                await self._writer.write(_nothing)
            if data_version != self._data_version:
                self._data_version = data_version
                return

    async def check_rest(self) -> None:
        """Read a large file, which the start has not read whole (serving.py)."""
        watch, note = self._watch, self._watch.damage.note
        if note is not None:
            await RestCheck(watch.path, note, watch.damage, lambda: watch.is_in_place).run()

    async def refusal_of_damage(self) -> StoreRefused | None:
        """After `check_rest`, if a read or write has told of damage."""
        if not self._watch.damage.is_suspected:
            return None
        await self.check_rest()
        problem = self._watch.damage.heard
        return None if problem is None else damaged(self._watch.path, problem)

    def require_room(self) -> None:
        """Does nothing: each write needs room in the log, so even a small write shows that the disk is full."""

    def in_list(self, column: str) -> str:
        """Read the values from one JSON parameter, so the SQL is always the same and is prepared once."""
        return f"{column} IN (SELECT value FROM json_each($1))"

    def list_value(self, values: Sequence[str]) -> Any:
        """The values as a JSON array."""
        return orjson.dumps(values).decode()

    def locking(self, select: str) -> str:
        """The SELECT itself: only one transaction at a time can write."""
        return select

    def held_descriptors(self) -> Sequence[int]:
        """The serve lock and the file (serving.py); none if this is a command."""
        return self._held

    async def close(self) -> None:
        """Write what waits, then close all connections. It returns after CLOSE_SECONDS at the latest."""
        if self._closed:
            return
        self._closed = True
        self._watch.damage.stop()
        for reader in self._readers:
            await reader.connection.interrupt()
        closing = asyncio.create_task(self._resources.aclose(), name="sqlite closing")
        await asyncio.wait([closing], timeout=CLOSE_SECONDS)
        if closing.done():
            closing.result()


async def _nothing(_: Transaction) -> None:
    """An empty unit: the writer checks the files before each group."""
