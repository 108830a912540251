"""How the connections of a driver are opened and closed. Both are done under the write lock (driver.py)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import aiosqlite

from server.core.errors import StoreRefused, StoreUnavailable
from server.database.sqlite.contents import beside, has_log, uri
from server.database.sqlite.group import GroupConnection
from server.database.sqlite.length import log_has_hole
from server.database.sqlite.refusals import refusals, refuse_denied
from server.database.sqlite.statements import is_busy
from server.files.file_lock import FairLock

BUSY_MILLISECONDS = 1000
# The writer tries again, as long as anybody waits for it.
WRITER_BUSY_MILLISECONDS = 100
# Of the driver's CLOSE_SECONDS.
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
    """Open one that only reads. Raises StoreRefused."""
    # It counts as open with the first read.
    read = "SELECT 1 FROM schema_migrations"
    return await _connect(path, "ro", "PRAGMA query_only = ON", "PRAGMA trusted_schema = OFF", read)


async def connect_writer(path: Path, *, serving: bool) -> aiosqlite.Connection:
    """Open the one for GroupWriter. `serving`: try whether the disk takes a write. Raises StoreRefused."""
    refuse_denied(path)
    # What is in a log that was left may be another database's, which shows later: nothing writes it back until then.
    log_was_left = has_log(path)
    # The log is recovered with the first read, so here, under the lock.
    # The triggers of user_grams write into a virtual table, which SQLite lets a trusted schema alone do.
    trusted = "PRAGMA trusted_schema = ON"
    settings = ("PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON", trusted)
    connection = await _connect(path, "rw", *settings, factory=GroupConnection)
    try:
        with refusals(path):
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
