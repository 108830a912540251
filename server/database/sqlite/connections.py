"""Opens and closes connections. Both are done under the write lock (driver.py)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import aiosqlite

from server.core.errors import StoreRefused, StoreUnavailable
from server.database.sqlite.contents import beside, has_log, uri
from server.database.sqlite.file import LOCK_SECONDS
from server.database.sqlite.group import GroupConnection
from server.database.sqlite.length import log_has_hole
from server.database.sqlite.reader import ReadingConnection
from server.database.sqlite.refusals import refusals, refuse_denied
from server.database.sqlite.statements import is_busy
from server.files.fair_lock import FairLock

BUSY_MILLISECONDS = 1000
# The writer tries again as long as a caller waits.
WRITER_BUSY_MILLISECONDS = 100
# A part of the driver's CLOSE_SECONDS.
CLOSE_LOCK_SECONDS = 0.5


async def _connect(
    path: Path, mode: str, *settings: str, factory: type[sqlite3.Connection] = sqlite3.Connection
) -> aiosqlite.Connection:
    with refusals(path):
        where = uri(path, f"mode={mode}")
        connection = await aiosqlite.connect(where, uri=True, isolation_level=None, factory=factory)
        connection.row_factory = sqlite3.Row
        try:
            for setting in (f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}", *settings):
                await connection.execute_fetchall(setting)
        except BaseException:
            await connection.close()
            raise
        return connection


async def connect_reader(path: Path) -> aiosqlite.Connection:
    """Open a connection that only reads. Raises StoreRefused."""
    # SQLite opens the file at the first read.
    read = "SELECT 1 FROM schema_migrations"
    settings = ("PRAGMA query_only = ON", "PRAGMA trusted_schema = OFF", read)
    return await _connect(path, "ro", *settings, factory=ReadingConnection)


async def connect_writer(path: Path, *, tries: bool) -> aiosqlite.Connection:
    """Open the connection of GroupWriter. With `tries` a write is tried. Raises StoreRefused."""
    refuse_denied(path)
    # An old log may belong to another database, which is found out later. Until then nothing must write it back.
    log_was_left = has_log(path)
    # Triggers write into a virtual table (user_grams), and SQLite allows this only with a trusted schema.
    trusted = "PRAGMA trusted_schema = ON"
    settings = ("PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON", trusted)
    connection = await _connect(path, "rw", *settings, factory=GroupConnection)
    try:
        with refusals(path):
            await _require_log(connection, path)
            await connection.execute_fetchall(f"PRAGMA busy_timeout = {WRITER_BUSY_MILLISECONDS}")
            if tries and not log_was_left:
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
    """Write the same value again, so a disk that takes no writes is found at the start. A foreign lock is ignored."""
    try:
        await connection.execute_fetchall("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if not is_busy(error):
            raise
        return
    ((version,),) = await connection.execute_fetchall("PRAGMA user_version")
    await connection.execute_fetchall(f"PRAGMA user_version = {version:d}")
    await connection.execute_fetchall("COMMIT")
    await connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")


async def close_connections(
    path: Path, writer: aiosqlite.Connection, readers: Sequence[aiosqlite.Connection], lock: FairLock
) -> None:
    """Close all connections under the lock, the writer last, since SQLite writes the log back when the last one closes.

    The log is not written back (a reader is last) if this process has written nothing: the start may have been refused
    because the log belongs to another database. It is also not written back if it has a hole, which would destroy
    pages.
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


def connect_beside_servers(path: Path) -> sqlite3.Connection:
    """Open a connection that is no driver's, beside servers that may run. Different threads use it, one at a time.

    It belongs under the write lock, and is closed by `close_under_lock`. Raises sqlite3.Error.
    """
    return sqlite3.connect(
        uri(path, "mode=rw"), uri=True, isolation_level=None, timeout=LOCK_SECONDS, check_same_thread=False
    )


async def close_under_lock(connection: sqlite3.Connection, lock: FairLock) -> None:
    """Close a connection that is no driver's."""
    try:
        async with lock.held():
            await asyncio.to_thread(connection.close)
    except StoreUnavailable:
        # The holder of the lock has the file open too, so this is not the last connection and writes no log back.
        connection.close()
