"""Finds and runs the migrations of an SQLite file, which a server may have open."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing, suppress
from functools import partial
from pathlib import Path

from server.core.clock import SystemClock
from server.core.errors import StoreRefused
from server.database.migration_files import Migration
from server.database.pending_migrations import not_migrated
from server.database.sqlite.contents import beside, contents, has_log, mark, uri, was_complete
from server.database.sqlite.file import APPLICATION_ID, LOCK_SECONDS, inspect, prepare_folder, refuse_no_file
from server.database.sqlite.integrity import Check
from server.database.sqlite.refusals import refusals
from server.files.drafts import make
from server.files.fair_lock import FairLock
from server.files.file_lock import FileLock, to_the_end
from server.files.syncing import sync


async def pending_migrations(path: Path) -> list[Migration]:
    """The migrations that the file needs. Changes and makes nothing. Raises StoreRefused."""
    async with AsyncExitStack() as looking:
        await asyncio.to_thread(refuse_no_file, path)
        if await asyncio.to_thread(beside(path, ".write-lock").exists):
            lock = FairLock(beside(path, ".write-lock"))
            looking.callback(lock.close)
            await looking.enter_async_context(lock.held())
        return await to_the_end(partial(inspect, path, thorough=True))


async def apply_migrations(path: Path) -> list[str]:
    """Run the pending migrations and return their names. Raises StoreRefused, StoreUnavailable."""
    await asyncio.to_thread(prepare_folder, path)
    async with AsyncExitStack() as locks:
        lock = FairLock(beside(path, ".write-lock"))
        locks.callback(lock.close)
        serve_lock = FileLock(beside(path, ".serve-lock"))
        locks.callback(serve_lock.close)
        await locks.enter_async_context(lock.held())
        return await migrate(path, serve_lock, serving=False)


async def migrate(
    path: Path,
    serve_lock: FileLock,
    *,
    serving: bool,
    migrating: bool = True,
    whole: bool = True,
    check: Check = "quick_check",
) -> list[str]:
    """Run the pending migrations (without `migrating`: refuse) and return their names. The caller holds the write lock.

    A command (not `serving`) makes only the quick checks, since a running server waits for the lock. A server reads
    the file by this check or a closer one, if `whole` is true (`inspect`).
    """
    wanted = await to_the_end(partial(inspect, path, thorough=serving, whole=whole, check=check))
    if wanted and not migrating:
        raise not_migrated(str(path), wanted)
    # Before the first write, since afterwards there is a log.
    await to_the_end(_remember, path)
    if not wanted:
        return []
    if not serving and not serve_lock.try_acquire():
        raise StoreRefused(f"{path} is served by an older program; stop that one, then migrate")
    try:
        await to_the_end(apply, path, wanted)
    finally:
        if not serving:
            serve_lock.release()
    return [migration.name for migration in wanted]


def apply(path: Path, wanted: Sequence[Migration]) -> None:
    """Run migrations, each in its own transaction; make the file if it is missing. Raises StoreRefused."""
    with refusals(path):
        if path.exists() and path.stat().st_size > 0:
            _apply(path, wanted)
            return
        _make(path, wanted)
        mark(path, contents(path))


def _make(path: Path, wanted: Sequence[Migration]) -> None:
    """Make the file. It gets its name only when it is complete and on disk."""
    unfinished = beside(path, ".new")
    try:
        for ending in ("", "-wal", "-shm", "-journal"):
            beside(unfinished, ending).unlink(missing_ok=True)
        os.close(make(unfinished, owner_of=path))
        apply_to_draft(unfinished, wanted)
        sync(unfinished)
        unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
    sync(path.parent)


def apply_to_draft(draft: Path, wanted: Sequence[Migration]) -> None:
    """Run migrations on a file without a name. Raises sqlite3.Error.

    Without a log: closing would write it back, but would not report that the disk is full.
    """
    _apply(draft, wanted, journal="MEMORY")


def _apply(path: Path, wanted: Sequence[Migration], journal: str = "WAL") -> None:
    with closing(
        sqlite3.connect(uri(path, "mode=rw"), uri=True, isolation_level=None, timeout=LOCK_SECONDS)
    ) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute("PRAGMA synchronous = FULL")
        for migration in wanted:
            try:
                _run(connection, migration)
            except sqlite3.Error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


def _run(connection: sqlite3.Connection, migration: Migration) -> None:
    # executescript commits an open transaction first, so BEGIN is part of the script.
    connection.executescript(f"BEGIN IMMEDIATE;\n{migration.sql}")
    # Foreign keys are off here, since a migration may have to replace a table.
    if connection.execute("PRAGMA foreign_key_check").fetchone():
        raise sqlite3.IntegrityError(f"migration {migration.name} left a reference to nothing")
    row = migration.record(SystemClock().now_ms())
    places = ", ".join(f":{name}" for name in row)
    connection.execute(f"INSERT INTO schema_migrations ({', '.join(row)}) VALUES ({places})", row)  # noqa: S608 - names
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {migration.version}")
    connection.execute("COMMIT")


def _remember(path: Path) -> None:
    """Note the contents in the lock file, so that a replaced file or log is recognised later. Raises StoreRefused.

    With a log that a killed process has left, the file may not be on the disk as it is read. An older note stays.
    """
    with refusals(path):
        if not path.exists() or path.stat().st_size == 0:
            return
        if not has_log(path):
            mark(path, contents(path))
        elif not was_complete(path):
            mark(path, None)
