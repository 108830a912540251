"""What is in both stores after a move, in all directions."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path

import asyncpg
import pytest

from server.core.errors import StoreMoving, StoreRefused, StoreUnavailable
from server.database.transfer import places
from server.repositories import Repositories, open_repositories
from server.users.model import UserFilter
from tests.database.transfer.filled import NAMES, contents, fill, move_to
from tests.postgres import PostgresServer, database
from tests.records import NOW, add_user, end_session, id_of, new_user, read_to_the_end, usernames

Make = Callable[..., Awaitable[str]]
Open = Callable[[str], Awaitable[Repositories]]


@pytest.fixture
async def new_place(postgres_server: PostgresServer, worker_id: str, tmp_path: Path) -> AsyncIterator[Make]:
    """Makes a URL where nothing is yet."""
    numbers = iter(range(1, 100))
    async with AsyncExitStack() as stack:

        async def make(kind: str, *, migrated: bool = False) -> str:
            if kind == "sqlite":
                return f"sqlite:///{tmp_path}/made{next(numbers)}/watchword.db"
            template = "migrated" if migrated else "template1"
            return await stack.enter_async_context(database(postgres_server, worker_id, template))

        yield make


def files_in(folder: Path) -> list[str]:
    return sorted(str(file) for file in folder.rglob("*") if not file.name.endswith(("-wal", "-shm")))


async def filled(url: str) -> None:
    store = await open_repositories(url, serving=False)
    await fill(store)
    await store.close()


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def make(url: str) -> Repositories:
            store = await open_repositories(url, serving=False)
            stack.push_async_callback(store.close)
            return store

        yield make


@pytest.mark.parametrize("to", ["sqlite", "postgres"])
@pytest.mark.parametrize("origin", ["sqlite", "postgres"])
async def test_everything_is_moved(new_place: Make, opened: Open, origin: str, to: str) -> None:
    source, target = await new_place(origin, migrated=True), await new_place(to)
    await filled(source)
    before = await contents(source)
    assert all(count for count, *_ in before.values())
    progress: list[int] = []
    moved = await move_to(source, target, advance=progress.append)
    assert {table.name: (table.rows, table.checksum) for table in moved} == {
        name: found[:2] for name, found in before.items()
    }
    assert sum(progress) == 2 * sum(count for count, *_ in before.values())
    assert await contents(source) == await contents(target) == before

    store = await opened(target)
    assert [user.name for user in await store.users.list_users(UserFilter(text="山田", limit=9))] == ["山田太郎"]
    assert [user.name for user in await store.users.list_users(UserFilter(text="SMILE", limit=9))] == ["😀 smile"]
    head = await store.audit.head()
    await add_user(store, new_user(500))
    after = await store.audit.head()
    assert head is not None
    assert after is not None
    assert after.seq == head.seq + 1
    # A number that was given in the old store does not come again: followers would pass over it.
    known = (await store.sessions.revocations_since("0")).cursor
    assert await end_session(store, id_of(5), None, NOW)
    assert [one.session_id for one in (await read_to_the_end(store, known))[1]] == [id_of(5)]
    counter = before["revocations"][2]
    assert counter is not None
    assert (await contents(target))["revocations"][2] == counter + 1


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_the_old_store_takes_no_writes_until_it_is_reopened(new_place: Make, opened: Open, kind: str) -> None:
    source, target = await new_place(kind, migrated=True), await new_place("sqlite")
    await filled(source)
    # Opened before and after: both are refused.
    early = await opened(source)
    await move_to(source, target)
    for store in (early, await opened(source)):
        with pytest.raises(StoreMoving) as refused:
            await add_user(store, new_user(500))
        assert refused.value.reason is not None
        assert f"this store was moved to {places.shown(target)}" in refused.value.reason
        with pytest.raises(StoreMoving):
            await store.attempts.purge(NOW * 2, 10)
        assert len(await usernames(store)) == len(NAMES) + 1
    with pytest.raises(StoreRefused, match=r"was moved to .*store reopen"):
        await open_repositories(source, serving=True)
    state = await places.reopen(source)
    assert (state.move_id, state.place) == ("move", places.shown(target))
    await add_user(early, new_user(500))
    with pytest.raises(StoreRefused, match="was not moved"):
        await places.reopen(source)
    with pytest.raises(StoreRefused, match="was not moved"):
        await places.reopen(target)


@pytest.mark.parametrize("kinds", ["sqlite postgres", "postgres sqlite"])
@pytest.mark.parametrize("moment", ["copying", "before the end"])
async def test_a_failure_leaves_the_source_as_it_was_and_the_target_clean(
    new_place: Make, opened: Open, tmp_path: Path, kinds: str, moment: str
) -> None:
    origin, to = kinds.split()
    source, target = await new_place(origin, migrated=True), await new_place(to)
    await filled(source)
    before = await contents(source)
    total = sum(count for count, *_ in before.values())
    files = files_in(tmp_path)
    done = 0

    def fail(rows: int) -> None:
        nonlocal done
        done += rows
        if done > (total // 2 if moment == "copying" else 9 * total):
            raise StoreUnavailable

    def fail_at_the_end() -> None:
        raise StoreUnavailable

    with pytest.raises(StoreUnavailable):
        await move_to(source, target, advance=fail, uninterrupted=fail_at_the_end)
    assert files_in(tmp_path) == files
    assert await contents(source) == before
    await add_user(await opened(source), new_user(500))
    await move_to(source, target)
    assert await contents(target) == await contents(source)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_tables_of_others_stay_where_they_are(new_place: Make, kind: str) -> None:
    """Also with names that have to be quoted."""
    source, target = await new_place(kind, migrated=True), await new_place("sqlite")
    await filled(source)
    if kind == "sqlite":
        with closing(sqlite3.connect(source.removeprefix("sqlite:///"))) as connection:
            connection.executescript('CREATE TABLE "my table" (x); CREATE TABLE "order" (id TEXT PRIMARY KEY, x);')
    else:
        postgres = await asyncpg.connect(source, server_settings={"search_path": "watchword"})
        await postgres.execute('CREATE TABLE "my table" (x INT); CREATE TABLE "order" (id TEXT PRIMARY KEY, x INT)')
        await postgres.close()
    moved = await move_to(source, target)
    assert "order" not in {table.name for table in moved}
    assert (await places.reopen(source)).is_moved


async def test_a_table_that_was_changed_by_hand_is_refused(new_place: Make) -> None:
    source, target = await new_place("sqlite"), await new_place("sqlite")
    await filled(source)
    with closing(sqlite3.connect(source.removeprefix("sqlite:///"))) as connection:
        connection.execute("ALTER TABLE users ADD COLUMN mine TEXT")
    with pytest.raises(StoreRefused, match="the table users of the store was changed by hand"):
        await move_to(source, target)
