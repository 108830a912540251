"""A network that breaks at each moment of a move: one store takes writes afterwards, and it has everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from server.core.errors import StoreMoving, StoreRefused, StoreUnavailable
from server.database.transfer import places
from server.database.transfer.move import MoveUnfinished
from server.database.transfer.postgres_target import PostgresTarget
from server.repositories import open_repositories
from tests.database.transfer.filled import contents, fill, move_to
from tests.postgres_proxy import PostgresProxy
from tests.records import add_user, new_user

Fault = Callable[[PostgresProxy], None]


def through(proxy: PostgresProxy, url: str) -> str:
    return proxy.url(urlsplit(url).path[1:])


@pytest.fixture
async def sqlite_url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/data/watchword.db"
    await filled(url)
    return url


async def filled(url: str) -> None:
    store = await open_repositories(url, serving=False)
    await fill(store)
    await store.close()


async def takes_writes(url: str) -> bool:
    store = await open_repositories(url, serving=False)
    try:
        await add_user(store, new_user(500))
    except StoreMoving:
        return False
    finally:
        await store.close()
    return True


def at(moment: int, what: Callable[[], None]) -> Callable[[int], None]:
    """Do it when so many rows were read or written."""
    done = 0

    def advance(rows: int) -> None:
        nonlocal done
        before, done = done, done + rows
        if before <= moment < done:
            what()

    return advance


@pytest.mark.parametrize("share", [0.1, 0.7])
async def test_a_target_that_is_lost_before_the_end(
    sqlite_url: str, postgres_url: str, postgres_proxy: PostgresProxy, share: float
) -> None:
    total = sum(count for count, *_ in (await contents(sqlite_url)).values())
    with pytest.raises(StoreUnavailable) as lost:
        await move_to(
            sqlite_url, through(postgres_proxy, postgres_url), advance=at(int(2 * total * share), postgres_proxy.cut)
        )
    assert "PostgreSQL can't be reached" in lost.value.detail
    assert "--to" in lost.value.detail
    assert await places.state_at(postgres_url) is None
    assert await takes_writes(sqlite_url)
    await move_to(sqlite_url, postgres_url)


@contextmanager
def calling(what: Callable[[], None]) -> Iterator[None]:
    what()
    yield


async def test_a_commit_that_never_arrives_opens_the_source_again(
    sqlite_url: str, postgres_url: str, postgres_proxy: PostgresProxy
) -> None:
    target = through(postgres_proxy, postgres_url)
    with pytest.raises(StoreRefused, match="PostgreSQL can't be reached"):
        await move_to(sqlite_url, target, uninterrupted=lambda: calling(postgres_proxy.cut))
    assert await takes_writes(sqlite_url)
    await move_to(sqlite_url, target)


async def test_a_commit_whose_answer_is_lost_is_found(
    sqlite_url: str, postgres_url: str, postgres_proxy: PostgresProxy
) -> None:
    target = through(postgres_proxy, postgres_url)
    await move_to(sqlite_url, target, uninterrupted=lambda: calling(postgres_proxy.deafen))
    assert not await takes_writes(sqlite_url)
    assert await takes_writes(postgres_url)


async def test_a_target_that_stays_away_at_the_end_leaves_no_store_open_twice(
    sqlite_url: str, postgres_url: str, postgres_proxy: PostgresProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = PostgresTarget.finish

    async def refused(target: PostgresTarget) -> None:
        await postgres_proxy.refuse()
        await finish(target)

    monkeypatch.setattr(PostgresTarget, "finish", refused)
    with pytest.raises(MoveUnfinished, match="run the same command again"):
        await move_to(sqlite_url, through(postgres_proxy, postgres_url))
    assert not await takes_writes(sqlite_url)
    # Nobody knew it, but nothing has arrived.
    assert await places.state_at(postgres_url) is None
    await places.reopen(sqlite_url)
    assert await takes_writes(sqlite_url)


@pytest.mark.parametrize("share", [0.1, 0.7])
async def test_a_source_that_is_lost_before_the_end(
    migrated_postgres_url: str, tmp_path: Path, postgres_proxy: PostgresProxy, share: float
) -> None:
    await filled(migrated_postgres_url)
    total = sum(count for count, *_ in (await contents(migrated_postgres_url)).values())
    target = f"sqlite:///{tmp_path}/new/watchword.db"
    source = through(postgres_proxy, migrated_postgres_url)
    with pytest.raises(StoreUnavailable) as lost:
        await move_to(source, target, advance=at(int(2 * total * share), postgres_proxy.cut))
    assert "PostgreSQL can't be reached" in lost.value.detail
    assert "--to" not in lost.value.detail
    assert not (tmp_path / "new").exists()
    assert await takes_writes(migrated_postgres_url)
    await move_to(source, target)


@pytest.mark.parametrize("fault", [PostgresProxy.cut, PostgresProxy.deafen])
async def test_a_source_that_is_lost_at_the_end_is_closed_or_open_but_never_both_are(
    migrated_postgres_url: str, tmp_path: Path, postgres_proxy: PostgresProxy, fault: Fault
) -> None:
    await filled(migrated_postgres_url)
    target = f"sqlite:///{tmp_path}/new/watchword.db"
    source = through(postgres_proxy, migrated_postgres_url)
    moved = True
    try:
        await move_to(source, target, uninterrupted=lambda: calling(lambda: fault(postgres_proxy)))
    except StoreUnavailable:
        moved = False
    assert moved == (tmp_path / "new" / "watchword.db").exists()
    assert await takes_writes(migrated_postgres_url) == (not moved)
