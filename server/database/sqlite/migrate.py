"""Migrations of an SQLite file: which it needs, and running them, while a server has it open or not."""

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
from server.database.sqlite.contents import beside, contents, mark, uri
from server.database.sqlite.file import APPLICATION_ID, LOCK_SECONDS, inspect, prepare_folder, refuse_no_file
from server.database.sqlite.refusals import refusals
from server.files.drafts import make, sync
from server.files.file_lock import FairLock, FileLock, to_the_end


async def pending_names(path: Path) -> list[str]:
    """The names of the migrations that the file needs. Changes nothing, makes nothing. Raises StoreRefused."""
    async with AsyncExitStack() as looking:
        await asyncio.to_thread(refuse_no_file, path)
        if await asyncio.to_thread(beside(path, ".write-lock").exists):
            lock = FairLock(beside(path, ".write-lock"))
            looking.callback(lock.close)
            await looking.enter_async_context(lock.held())
        found = await to_the_end(partial(inspect, path, thorough=True))
        return [migration.name for migration in found]


async def apply_migrations(path: Path) -> list[str]:
    """Bring the file up to date and return the names of what was applied. Raises StoreRefused, StoreUnavailable."""
    await asyncio.to_thread(prepare_folder, path)
    async with AsyncExitStack() as locks:
        lock = FairLock(beside(path, ".write-lock"))
        locks.callback(lock.close)
        serve_lock = FileLock(beside(path, ".serve-lock"))
        locks.callback(serve_lock.close)
        await locks.enter_async_context(lock.held())
        return await migrate(path, serve_lock, serving=False)


async def migrate(path: Path, serve_lock: FileLock, *, serving: bool) -> list[str]:
    """Under the write lock. Beside a server only what is quick is checked: the server waits meanwhile."""
    wanted = await to_the_end(partial(inspect, path, thorough=serving))
    # Before anything is written, since there may be a log a moment later.
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
    """Run migrations, each in a transaction of its own; make the file if it is not there. Raises StoreRefused."""
    with refusals(path):
        if path.exists() and path.stat().st_size > 0:
            _apply(path, wanted)
            return
        _make(path, wanted)
        mark(path, contents(path))


def _make(path: Path, wanted: Sequence[Migration]) -> None:
    """The file gets its name when it is complete and on disk, so nobody ever meets half of it."""
    unfinished = beside(path, ".new")
    try:
        for ending in ("", "-wal", "-shm", "-journal"):
            beside(unfinished, ending).unlink(missing_ok=True)
        os.close(make(unfinished, owner_of=path))
        # Without a log: closing would write it back, and not tell if the disk is too full for that.
        _apply(unfinished, wanted, journal="MEMORY")
        sync(unfinished)
        unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
    sync(path.parent)


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
    # executescript would commit a transaction that is open before it, so it begins its own.
    connection.executescript(f"BEGIN IMMEDIATE;\n{migration.sql}")
    # Foreign keys are off here, since a migration may have to make a table anew.
    if connection.execute("PRAGMA foreign_key_check").fetchone():
        raise sqlite3.IntegrityError(f"migration {migration.name} left a reference to nothing")
    connection.execute(
        "INSERT INTO schema_migrations (version, name, sha256, applied_at) VALUES (:version, :name, :sha256, :now)",
        {
            "version": migration.version,
            "name": migration.name,
            "sha256": migration.sha256,
            "now": SystemClock().now_ms(),
        },
    )
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {migration.version}")
    connection.execute("COMMIT")


def _remember(path: Path) -> None:
    """Mark what is in the file, so that a file or a log that is replaced later is told. Raises StoreRefused."""
    with refusals(path):
        if path.exists() and path.stat().st_size > 0:
            mark(path, contents(path))
