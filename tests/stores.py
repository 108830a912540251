"""A store on each database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from server.database.open import pending_migrations
from server.repositories import Repositories, open_repositories

OpenStore = Callable[[], Awaitable[Repositories]]


async def pending_names(store_url: str) -> list[str]:
    """The names of the migrations that a store needs."""
    return [migration.name for migration in await pending_migrations(store_url)]


@pytest.fixture
async def open_another(store_url: str) -> AsyncIterator[OpenStore]:
    """Opens further stores on the database of the test, and closes them."""
    async with AsyncExitStack() as stack:

        async def open_it() -> Repositories:
            store = await open_repositories(store_url, serving=False)
            stack.push_async_callback(store.close)
            return store

        yield open_it


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Repositories]:
    opened = await open_repositories(store_url, serving=True)
    yield opened
    await opened.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where an SQLite file of the test may be."""
    return tmp_path / "data" / "watchword.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"
