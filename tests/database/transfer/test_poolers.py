"""A move from and to PostgreSQL behind a pooler, and from another schema."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.core.errors import StoreMoving
from server.database.open import apply_migrations
from server.repositories import open_repositories
from server.settings.tree import StoreSettings
from tests.database.transfer.filled import contents, fill, move_to
from tests.pgbouncer import pgbouncer
from tests.postgres import PostgresServer
from tests.records import add_user, new_user


async def filled(store: StoreSettings | str) -> None:
    opened = await open_repositories(store, serving=False)
    await fill(opened)
    await opened.close()


async def test_through_a_pooler(postgres_server: PostgresServer, postgres_url: str, tmp_path: Path) -> None:
    source, target = f"sqlite:///{tmp_path}/data/watchword.db", f"sqlite:///{tmp_path}/new/watchword.db"
    await filled(source)
    with pgbouncer(postgres_server, postgres_url, "transaction") as url:
        pooled = StoreSettings(url=url)
        await move_to(source, pooled)
        assert await contents(postgres_url) == await contents(source)
        # A server behind such a pooler needs this setting, and a move uses it.
        direct = pooled.model_copy(update={"listen_url": postgres_url})
        await move_to(direct, target)
        assert await contents(target) == await contents(source)
        store = await open_repositories(direct, serving=False)
        with pytest.raises(StoreMoving):
            await add_user(store, new_user(500))
        await store.close()


async def test_a_store_in_another_schema(postgres_url: str, tmp_path: Path) -> None:
    source = StoreSettings(url=postgres_url, schema_name="mine")
    await apply_migrations(source)
    await filled(source)
    before = await contents(source)
    await move_to(source, f"sqlite:///{tmp_path}/new/watchword.db")
    assert await contents(f"sqlite:///{tmp_path}/new/watchword.db") == before
    store = await open_repositories(source, serving=False)
    with pytest.raises(StoreMoving):
        await add_user(store, new_user(500))
    await store.close()
