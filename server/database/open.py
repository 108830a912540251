"""Which driver a `store.url` stands for. Only `app` and the command line come here; everything else knows Driver."""

from __future__ import annotations

import os
from pathlib import Path

from server.core.errors import StoreRefused
from server.database.driver import Driver
from server.database.sqlite import backup as sqlite_backup
from server.database.sqlite import migrate as sqlite
from server.database.sqlite.backup import Progress
from server.database.sqlite.driver import SqliteDriver

_SQLITE = "sqlite:///"
# Pending means that there is nothing.
FIRST_MIGRATION = "0001_first"


async def open_driver(url: str, *, serving: bool) -> Driver:
    """Open the database, made and migrated if need be.

    `serving` is for a server: of an SQLite file there can be one. Raises StoreRefused, StoreUnavailable.
    """
    if _is_sqlite(url):
        return await SqliteDriver.open(sqlite_path(url), serving=serving, name=_name(url))
    from server.database.postgres import driver as postgres  # noqa: PLC0415 - asyncpg is large

    return await postgres.PostgresDriver.open(url, serving=serving)


async def require_store(url: str) -> None:
    """Raise StoreRefused if there is no store yet. Makes nothing."""
    pending = await pending_migrations(url)
    if FIRST_MIGRATION in pending:
        where = str(sqlite_path(url)) if _is_sqlite(url) else "the PostgreSQL database of store.url"
        raise StoreRefused(
            f"there is no store in {where}; run this where the server runs, or give --config or store.url; "
            "`serve` and `migrate` make one"
        )


async def pending_migrations(url: str) -> list[str]:
    """The names of the migrations that the store needs. Changes nothing. Raises StoreRefused, StoreUnavailable."""
    if _is_sqlite(url):
        return await sqlite.pending_names(sqlite_path(url))
    from server.database.postgres import driver as postgres  # noqa: PLC0415 - asyncpg is large

    return await postgres.pending_names(url)


async def apply_migrations(url: str) -> list[str]:
    """Bring the store up to date; the names of what was applied. Raises StoreRefused, StoreUnavailable."""
    if _is_sqlite(url):
        return await sqlite.apply_migrations(sqlite_path(url))
    from server.database.postgres import driver as postgres  # noqa: PLC0415 - asyncpg is large

    return await postgres.apply_migrations(url)


async def back_up(url: str, target: Path, progress: Progress, key: bytes | None = None) -> None:
    """Copy an SQLite store, also while it is in use, and the key beside the copy.

    Raises StoreRefused, StoreUnavailable, FileRefused.
    """
    if not _is_sqlite(url):
        raise StoreRefused(
            "this store is PostgreSQL, which brings its own tool: pg_dump --schema=watchword --format=custom; "
            "keep keys.master_key with the dump"
        )
    await sqlite_backup.back_up(sqlite_path(url), target, progress, key)


def sqlite_path(url: str) -> Path:
    """The file: sqlite:///relative/path.db or sqlite:////absolute/path.db. Raises StoreRefused.

    Links are followed, so that what lies beside the file (log, locks, key) is the same whatever name it is called by.
    """
    path = _name(url)
    try:
        found = path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise StoreRefused(f"{path} leads to no file ({error}); choose another store.url") from error
    for link in (path, *path.parents):
        end = found.parent if link == path else link.resolve()
        if os.path.lexists(link) and not os.path.lexists(end):
            # Perhaps of a disk that is not mounted: a new store in its place would hide the one that is on it.
            raise StoreRefused(f"{link} is a link into {end}, which is not there; bring that back")
    return found


def _name(url: str) -> Path:
    return Path(url.removeprefix(_SQLITE))


def _is_sqlite(url: str) -> bool:
    if url.startswith(_SQLITE):
        return True
    if url.startswith(("postgresql://", "postgres://")):
        return False
    raise StoreRefused("store.url is neither sqlite:///path/to/file.db nor postgresql://user@host/database")
