"""Opening, closing, and callers that leave."""

from __future__ import annotations

import asyncio

import pytest

from server.core.errors import StoreRefused, StoreUnavailable
from server.repositories import Repositories, open_repositories
from tests.records import add_user, id_of, new_user, usernames


async def test_what_was_acknowledged_is_there_after_opening_again(store_url: str) -> None:
    first = await open_repositories(store_url, serving=True)
    await add_user(first, new_user(1))
    await first.close()
    second = await open_repositories(store_url, serving=True)
    try:
        assert await usernames(second) == {"user1"}
    finally:
        await second.close()


async def test_a_closed_store_is_unavailable_and_closes_twice(store_url: str) -> None:
    store = await open_repositories(store_url, serving=True)
    await store.readiness.ping()
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.readiness.ping()
    with pytest.raises(StoreUnavailable):
        await add_user(store, new_user(1))
    with pytest.raises(StoreUnavailable):
        await store.users.get_user(id_of(1))


async def test_closing_waits_for_writes_under_way(store_url: str) -> None:
    store = await open_repositories(store_url, serving=True)
    writes = [asyncio.create_task(add_user(store, new_user(number))) for number in range(10)]
    await asyncio.sleep(0)
    await store.close()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    again = await open_repositories(store_url, serving=True)
    try:
        written = {f"user{number}" for number, made in enumerate(outcomes) if not isinstance(made, BaseException)}
        assert await usernames(again) >= written
        assert {type(error) for error in outcomes if isinstance(error, BaseException)} <= {StoreUnavailable}
    finally:
        await again.close()


async def test_cancelled_callers_neither_lose_nor_block_other_writes(store: Repositories) -> None:
    writes = [asyncio.create_task(add_user(store, new_user(number))) for number in range(60)]
    await asyncio.sleep(0)
    for write in writes[::3]:
        write.cancel()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    acknowledged = {f"user{number}" for number, made in enumerate(outcomes) if not isinstance(made, BaseException)}
    assert {f"user{number}" for number in range(60) if number % 3} <= acknowledged
    assert await usernames(store) >= acknowledged
    assert (await add_user(store, new_user(100))).username == "user100"


@pytest.mark.parametrize("url", ["mysql://localhost/db", "sqlite:/x.db", "watchword.db"])
async def test_an_unknown_kind_of_store_is_refused(url: str) -> None:
    with pytest.raises(StoreRefused, match="neither sqlite"):
        await open_repositories(url, serving=True)
