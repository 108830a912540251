"""SQLite, through aiosqlite: one writing connection, several that only read.

SQLite 3.7.0 to 3.51.2 can corrupt the log of a database when two connections write or checkpoint at the same instant.
So whatever writes or checkpoints, in any process, holds the lock on `<file>.write-lock` meanwhile: the groups of the
writer, and opening and closing, since the last connection that closes checkpoints.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import aiosqlite
import orjson

from server.core.errors import StoreRefused, StoreUnavailable
from server.database.driver import Result, Row, Transaction, Unit
from server.database.failure import unavailable
from server.database.sqlite import file as sqlite_file
from server.database.sqlite.contents import beside, has_log, uri
from server.database.sqlite.file_watch import FileWatch
from server.database.sqlite.group_writer import GroupWriter, bound, is_unavailable
from server.database.sqlite.length import log_has_hole
from server.files.file_lock import FairLock, FileLock, to_the_end

# Enough that a long listing does not hold up the short reads; more would only compete for the interpreter.
SERVING_READERS = 3
BUSY_MILLISECONDS = 1000
# The writer tries again, as long as anybody waits for it.
WRITER_BUSY_MILLISECONDS = 100
POLL_SECONDS = 0.2
# A read that takes longer is given up.
READ_SECONDS = 4.0
# In all, and of it to wait for the lock.
CLOSE_SECONDS = 3.0
CLOSE_LOCK_SECONDS = 0.5

Answer = TypeVar("Answer")

_REVOCATIONS_SINCE = (
    "SELECT COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'revocations'), 0) AS cursor, "
    "CAST($1 AS INTEGER) = 0 AS whole, "
    "seq, session_id, user_id, role, role_changed_at, forget_at "
    "FROM (SELECT 1) LEFT JOIN revocations ON seq > CAST($1 AS INTEGER) ORDER BY seq"
)


class _Reader:
    """A connection that only reads, and how many wait for it."""

    __slots__ = ("connection", "waiting")

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self.connection = connection
        self.waiting = 0


class SqliteDriver:
    """The driver of driver.py on a file."""

    def __init__(
        self,
        writer: GroupWriter,
        readers: Sequence[aiosqlite.Connection],
        watch: FileWatch,
        resources: AsyncExitStack,
    ) -> None:
        self._writer = writer
        self._readers = [_Reader(connection) for connection in readers]
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
                await _migrate(path, serve_lock, serving=serving)
                connection = await _connect_writer(path, serving=serving)
                readers: list[aiosqlite.Connection] = []
                opening.push_async_callback(_close_connections, path, connection, readers, lock)
                watch = await asyncio.to_thread(FileWatch, path, name or path)
            while len(readers) < (SERVING_READERS if serving else 1):
                readers.append(await _connect_reader(path))
            writer = GroupWriter(connection, lock, watch)
            opening.push_async_callback(writer.close)
            return cls(writer, readers, watch, opening.pop_all())

    async def read(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run a SELECT, in one hop to a reading connection."""
        if self._closed or self._watch.taken:
            raise StoreUnavailable
        return await self._ask(
            min(self._readers, key=_waiting),
            lambda connection: connection.execute(sql, bound(parameters)).fetchall(),
        )

    async def read_soon(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """As any other: a reader that is free is found."""
        return await self.read(sql, *parameters)

    async def _ask(self, reader: _Reader, question: Callable[[sqlite3.Connection], Answer]) -> Answer:
        # As in group_writer.py: there is no public way to its thread, nor to the connection. A timer for the future
        # itself costs a fifth of asyncio.timeout().
        connection: Any = reader.connection
        future: asyncio.Future[Answer] = self._loop.create_future()
        timer = self._loop.call_later(READ_SECONDS, _give_up, future, connection._conn)  # noqa: SLF001
        connection._tx.put_nowait((future, partial(question, connection._conn)))  # noqa: SLF001
        reader.waiting += 1
        try:
            return await future
        except (sqlite3.Error, OSError) as error:
            if is_unavailable(error):
                raise unavailable(error) from error
            raise
        finally:
            reader.waiting -= 1
            timer.cancel()

    async def write(self, unit: Unit[Result]) -> Result:
        """Run a unit in the next group."""
        return await self._writer.write(unit)

    async def write_one(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run a statement in the next group."""
        return await self._writer.write_one(sql, parameters)

    async def revocations_since(self, cursor: str) -> Sequence[Row]:
        """By the counter of AUTOINCREMENT, which outlives the rows, so the cursor never goes back."""
        return await self.read(_REVOCATIONS_SINCE, cursor)

    async def wait_for_change(self, timeout_seconds: float) -> None:
        """By `PRAGMA data_version`, which differs once another connection has written, of this process or another."""
        deadline = self._loop.time() + timeout_seconds
        while not self._closed and self._loop.time() < deadline:
            # First the pause: under a steady stream of writes there is always something new.
            await asyncio.sleep(POLL_SECONDS)
            # Always the same connection: the number means nothing on another one.
            data_version, amiss = await self._ask(self._readers[0], self._look)
            if amiss:
                # The writer looks closer, since nobody may write meanwhile.
                await self._writer.write(_nothing)
            if data_version != self._data_version:
                self._data_version = data_version
                return

    def _look(self, connection: sqlite3.Connection) -> tuple[int, bool]:
        return connection.execute("PRAGMA data_version").fetchone()[0], self._watch.amiss

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

    def users_with_grams(self, place: str) -> str:
        """By the full-text index. CROSS JOIN: it is read first, and no further than needed."""
        return f"user_grams CROSS JOIN users ON number = user_grams.rowid WHERE user_grams MATCH {place}"

    def grams_value(self, grams: Sequence[str]) -> Any:
        """Words in hexadecimal, as the index has them; a row has to have all of them."""
        return " ".join(gram.encode().hex() for gram in grams)

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


def _give_up(future: asyncio.Future[Any], connection: sqlite3.Connection) -> None:
    if not future.done():
        future.set_exception(TimeoutError())
        # Whatever runs there, all who ask this connection wait for it.
        connection.interrupt()


def _waiting(reader: _Reader) -> int:
    return reader.waiting


async def _nothing(_: Transaction) -> None:
    """A unit."""


async def pending_names(path: Path) -> list[str]:
    """The names of the migrations that the file needs. Changes nothing, makes nothing. Raises StoreRefused."""
    async with AsyncExitStack() as looking:
        await asyncio.to_thread(sqlite_file.refuse_no_file, path)
        if await asyncio.to_thread(beside(path, ".write-lock").exists):
            lock = FairLock(beside(path, ".write-lock"))
            looking.callback(lock.close)
            await looking.enter_async_context(lock.held())
        found = await to_the_end(partial(sqlite_file.inspect, path, thorough=True))
        return [migration.name for migration in found]


async def apply_migrations(path: Path) -> list[str]:
    """Bring the file up to date and return the names of what was applied. Raises StoreRefused, StoreUnavailable."""
    await asyncio.to_thread(sqlite_file.prepare_folder, path)
    async with AsyncExitStack() as locks:
        lock = FairLock(beside(path, ".write-lock"))
        locks.callback(lock.close)
        serve_lock = FileLock(beside(path, ".serve-lock"))
        locks.callback(serve_lock.close)
        await locks.enter_async_context(lock.held())
        return await _migrate(path, serve_lock, serving=False)


async def _migrate(path: Path, serve_lock: FileLock, *, serving: bool) -> list[str]:
    """Under the write lock. Beside a server only what is quick is checked: the server waits meanwhile."""
    wanted = await to_the_end(partial(sqlite_file.inspect, path, thorough=serving))
    # Before anything is written, since there may be a log a moment later.
    await to_the_end(sqlite_file.remember, path)
    if not wanted:
        return []
    if not serving and not serve_lock.try_acquire():
        raise StoreRefused(f"{path} is served by an older program; stop that one, then migrate")
    try:
        await to_the_end(sqlite_file.apply, path, wanted)
    finally:
        if not serving:
            serve_lock.release()
    return [migration.name for migration in wanted]


async def _connect(path: Path, mode: str, *settings: str) -> aiosqlite.Connection:
    with sqlite_file.refusals(path):
        connection = await aiosqlite.connect(uri(path, f"mode={mode}"), uri=True, isolation_level=None)
        connection.row_factory = sqlite3.Row
        try:
            for setting in (f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}", *settings):
                await connection.execute_fetchall(setting)
        except BaseException:
            await connection.close()
            raise
        return connection


async def _connect_reader(path: Path) -> aiosqlite.Connection:
    # It counts as open with the first read.
    read = "SELECT 1 FROM schema_migrations"
    return await _connect(path, "ro", "PRAGMA query_only = ON", "PRAGMA trusted_schema = OFF", read)


async def _connect_writer(path: Path, *, serving: bool) -> aiosqlite.Connection:
    sqlite_file.refuse_denied(path)
    # What is in a log that was left may be another database's, which shows later: nothing writes it back until then.
    log_was_left = has_log(path)
    # The log is recovered with the first read, so here, under the lock.
    # The triggers of user_grams write into a virtual table, which SQLite lets a trusted schema alone do.
    trusted = "PRAGMA trusted_schema = ON"
    connection = await _connect(path, "rw", "PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON", trusted)
    try:
        with sqlite_file.refusals(path):
            await _require_log(connection, path)
            await connection.execute_fetchall(f"PRAGMA busy_timeout = {WRITER_BUSY_MILLISECONDS}")
            if serving and not log_was_left:
                await _write_nothing_new(connection)
    except BaseException:
        await connection.close()
        raise
    return connection


async def _require_log(connection: aiosqlite.Connection, path: Path) -> None:
    mode = [tuple(row) for row in await connection.execute_fetchall("PRAGMA journal_mode = WAL")]
    if mode != [("wal",)]:
        raise StoreRefused(f"{path} can't have a write-ahead log there; move it to a local disk")
    # The first read makes the file of the log.
    await connection.execute_fetchall("SELECT 1 FROM schema_migrations")


async def _write_nothing_new(connection: aiosqlite.Connection) -> None:
    """A disk that takes no write is refused before a login needs it. A foreign lock is another matter: it may pass."""
    try:
        await connection.execute_fetchall("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return
    ((version,),) = await connection.execute_fetchall("PRAGMA user_version")
    await connection.execute_fetchall(f"PRAGMA user_version = {version:d}")
    await connection.execute_fetchall("COMMIT")
    await connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")


async def _close_connections(
    path: Path, writer: aiosqlite.Connection, readers: Sequence[aiosqlite.Connection], lock: FairLock
) -> None:
    """The last connection to close writes the log back. That needs the lock, and one that only reads can't do it.

    Who has written nothing leaves a log as it is: it may be another database's, for which the start was refused. And a
    log with a hole would be written over good pages.
    """
    try:
        async with lock.held(CLOSE_LOCK_SECONDS):
            unchanged = writer.total_changes == 0 and await asyncio.to_thread(has_log, path)
            leave = unchanged or await asyncio.to_thread(log_has_hole, beside(path, "-wal"))
            for connection in (writer, *readers) if leave else (*readers, writer):
                await connection.close()
    except StoreUnavailable:
        for connection in (writer, *readers):
            await connection.close()
