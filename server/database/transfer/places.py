"""Opens source and target of a move by their URLs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from server.core.errors import StoreRefused
from server.database.open import Store, settings_of, sqlite_path
from server.database.sqlite import closing as sqlite_closing
from server.database.sqlite.copy_reader import open_moved_away
from server.database.store_state import StoreState
from server.database.transfer.ends import Source, Target
from server.database.transfer.sqlite_source import SqliteSource
from server.database.transfer.sqlite_target import SqliteTarget
from server.settings.masking import masked_url
from server.settings.store_url import is_sqlite
from server.settings.tree import StoreSettings


def shown(url: str) -> str:
    """The path of an SQLite file, or a URL without its password."""
    return str(sqlite_path(url)) if is_sqlite(url) else masked_url(url)


def source_at(store: Store) -> AbstractAsyncContextManager[Source]:
    """Open the store that is moved. Raises StoreRefused, StoreUnavailable."""
    settings = settings_of(store)
    if settings.is_sqlite:
        return SqliteSource.open(sqlite_path(settings.url))
    from server.database.transfer.postgres_source import PostgresSource  # noqa: PLC0415 - asyncpg is large

    return PostgresSource.open(settings)


@asynccontextmanager
async def target_at(store: Store, source: Source, key: bytes | None) -> AsyncIterator[Target]:
    """Make the store that is moved to. Raises StoreRefused, StoreUnavailable, FileRefused."""
    settings = settings_of(store)
    if settings.is_sqlite:
        path = sqlite_path(settings.url)
        SqliteTarget.check(path, source.place)
        async with SqliteTarget.open(path, key) as target:
            yield target
    else:
        async with _postgres_target(settings, source) as target:
            yield target


async def check_target(store: Store, source: Source) -> None:
    """Raise StoreRefused or StoreUnavailable if the store can't be moved there. Changes nothing."""
    settings = settings_of(store)
    if settings.is_sqlite:
        SqliteTarget.check(sqlite_path(settings.url), source.place)
    else:
        async with _postgres_target(settings, source):
            pass


def _postgres_target(store: StoreSettings, source: Source) -> AbstractAsyncContextManager[Target]:
    from server.database.transfer.postgres_target import PostgresTarget  # noqa: PLC0415 - asyncpg is large

    return PostgresTarget.open(store, source.nonce)


async def state_at(store: Store) -> StoreState | None:
    """Whether the target of an earlier move has everything. None also if there is no store."""
    settings = settings_of(store)
    if settings.is_sqlite:
        path = sqlite_path(settings.url)
        if not path.exists():
            return None
        with open_moved_away(path) as reader:
            return sqlite_closing.state_of(reader.connection)
    from server.database.transfer import postgres_source  # noqa: PLC0415 - asyncpg is large

    return await postgres_source.state_at(settings, "--to")


async def reopen(store: Store) -> StoreState:
    """Let a store that was moved take writes again; where it was moved to. Raises StoreRefused, StoreUnavailable."""
    async with source_at(store) as source:
        state = await source.state()
        if state is None or not state.is_moved:
            raise StoreRefused(f"{source.place} was not moved; there is nothing to reopen")
        await source.reopen()
    return state
