"""Chooses the driver for a `store.url`, for repositories.py and commands. All other code knows only Driver."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from server.core.errors import StoreRefused
from server.database.driver import Driver
from server.database.live_nodes import LiveNode
from server.database.migration_files import Migration
from server.database.sqlite import backup as sqlite_backup
from server.database.sqlite import migrate as sqlite
from server.database.sqlite.backup import Progress
from server.database.sqlite.driver import SqliteDriver
from server.settings.store_url import SQLITE
from server.settings.tree import StoreSettings

# A URL alone stands for one with the defaults of the other settings.
Store = StoreSettings | str


async def open_driver(
    store: Store, *, serving: bool, inherited: Sequence[int] | None = None, migrating: bool = True
) -> Driver:
    """Open the database; make and migrate it if necessary. Raises StoreRefused, StoreUnavailable.

    `serving` says that this is a server, not a command: an SQLite file can have only one server. `inherited` says that
    it is a worker of a server that has prepared the database; it has the `held_descriptors` of that. Without
    `migrating` a store that is missing or needs migrations is refused.
    """
    settings = settings_of(store)
    if settings.is_sqlite:
        path, name = sqlite_path(settings.url), _name(settings.url)
        return await SqliteDriver.open(path, serving=serving, name=name, inherited=inherited, migrating=migrating)
    from server.database.postgres import driver as postgres  # noqa: PLC0415 - asyncpg is large

    return await postgres.PostgresDriver.open(settings, serving=serving, inherited=inherited, migrating=migrating)


def load_driver(store: Store) -> None:
    """Import what `open_driver` needs, so that processes that are forked later share its memory."""
    if not settings_of(store).is_sqlite:
        from server.database.postgres import driver  # noqa: F401, PLC0415 - asyncpg is large


async def wait_for_database(store: Store) -> None:
    """Wait for a database that is being started, as a server does; an SQLite file needs no wait.

    Raises StoreRefused, StoreUnavailable.
    """
    settings = settings_of(store)
    if not settings.is_sqlite:
        from server.database.postgres.waiting import wait_until_reachable  # noqa: PLC0415 - asyncpg is large

        await wait_until_reachable(settings)


async def require_notifications(store: Store) -> None:
    """Raise StoreRefused if a server would not be told of what other nodes change, as behind some poolers."""
    settings = settings_of(store)
    if not settings.is_sqlite:
        from server.database.postgres import pooler  # noqa: PLC0415 - asyncpg is large

        await pooler.require_notifications(settings)


async def pending_migrations(store: Store) -> list[Migration]:
    """The migrations that the store needs, in order. Changes nothing. Raises StoreRefused, StoreUnavailable."""
    settings = settings_of(store)
    if settings.is_sqlite:
        return await sqlite.pending_migrations(sqlite_path(settings.url))
    from server.database.postgres import driver as postgres  # noqa: PLC0415 - asyncpg is large

    return await postgres.pending_migrations(settings)


async def live_nodes(store: Store) -> list[LiveNode]:
    """The servers that use the store now, of those on PostgreSQL. Raises StoreRefused, StoreUnavailable."""
    settings = settings_of(store)
    if settings.is_sqlite:
        return []
    from server.database.postgres import driver as postgres  # noqa: PLC0415 - asyncpg is large

    return await postgres.live_nodes(settings)


async def apply_migrations(store: Store) -> list[str]:
    """Bring the store up to date; the names of what was applied. Raises StoreRefused, StoreUnavailable."""
    settings = settings_of(store)
    if settings.is_sqlite:
        return await sqlite.apply_migrations(sqlite_path(settings.url))
    from server.database.postgres import driver as postgres  # noqa: PLC0415 - asyncpg is large

    return await postgres.apply_migrations(settings)


async def back_up(store: Store, target: Path, progress: Progress, key: bytes | None = None) -> None:
    """Copy an SQLite store, which may be in use, and write its key beside the copy.

    Raises StoreRefused, StoreUnavailable, FileRefused.
    """
    settings = settings_of(store)
    if not settings.is_sqlite:
        raise StoreRefused(
            f"this store is PostgreSQL, which brings its own tool: pg_dump --schema={settings.schema_name} "
            "--format=custom; keep keys.master_key with the dump"
        )
    await sqlite_backup.back_up(sqlite_path(settings.url), target, progress, key)


def sqlite_path(url: str) -> Path:
    """The path of the database file in sqlite:///relative/path.db or sqlite:////absolute/path.db. Raises StoreRefused.

    Links are followed: the log, the locks and the key are beside the real file, whatever link leads to it.
    """
    path = _name(url)
    try:
        found = path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise StoreRefused(f"{path} leads to no file ({error}); choose another store.url") from error
    for link in (path, *path.parents):
        end = found.parent if link == path else link.resolve()
        if os.path.lexists(link) and not os.path.lexists(end):
            # The disk with the store may not be mounted. A new store must not take its place.
            raise StoreRefused(f"{link} is a link into {end}, which is not there; bring that back")
    return found


def _name(url: str) -> Path:
    return Path(url.removeprefix(SQLITE))


def settings_of(store: Store) -> StoreSettings:
    """All settings of a store. Raises StoreRefused for a URL of another kind."""
    # Not validated, so a wrong URL is refused here, as where it comes from.
    settings = StoreSettings.model_construct(url=store) if isinstance(store, str) else store
    if not settings.is_sqlite and not settings.url.startswith(("postgresql://", "postgres://")):
        raise StoreRefused("store.url is neither sqlite:///path/to/file.db nor postgresql://user@host/database")
    return settings
