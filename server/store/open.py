"""Opens a store by its URL. Only app.py and the migrate command come here; all others know the protocol alone."""

from __future__ import annotations

import asyncio

from server.clock import SystemClock
from server.store import postgres, sqlite_file
from server.store.file_lock import FileLock
from server.store.protocol import Store
from server.store.queries import SqlStore
from server.store.sqlite import open_sqlite
from server.store.sqlite_file import sqlite_path

SERVING_READERS = 3

__all__ = ["apply_migrations", "open_store", "pending_migrations", "sqlite_path"]


async def open_store(url: str, *, serving: bool) -> Store:
    """An open store, migrated. `serving`: for a server's life, not for one command.

    Raises StoreRefused if it must not be used (locked, newer, foreign, damaged), StoreUnavailable if it can't be
    reached.
    """
    if url.startswith("sqlite:"):
        return SqlStore(await open_sqlite(sqlite_path(url), serving=serving, readers=SERVING_READERS if serving else 1))
    return SqlStore(await postgres.open_postgres(url, serving=serving))


async def pending_migrations(url: str) -> list[str]:
    """The names of what `migrate` would apply. Changes nothing."""
    if url.startswith("sqlite:"):
        todo = await asyncio.to_thread(sqlite_file.pending_migrations, sqlite_path(url))
    else:
        todo = await postgres.pending_migrations(url)
    return [migration.name for migration in todo]


async def apply_migrations(url: str) -> list[str]:
    """Bring the store up to date; the names of what was applied."""
    if not url.startswith("sqlite:"):
        return [migration.name for migration in await postgres.apply_migrations(url)]
    path = sqlite_path(url)
    sqlite_file.make_file(path)
    lock = FileLock(path.with_name(path.name + ".write-lock"))
    try:
        async with lock.held():
            todo = await asyncio.to_thread(sqlite_file.migrate_file, path, SystemClock().now_ms())
    finally:
        lock.close()
    return [migration.name for migration in todo]
