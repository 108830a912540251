from __future__ import annotations

import asyncio
from dataclasses import replace

from server.keys.model import KeyRecord
from server.repositories import Repositories
from tests.records import NOW, key
from tests.stores import OpenStore


async def test_keys_come_back_as_they_were_in_the_order_of_their_making(store: Repositories) -> None:
    assert await store.keys.list_keys() == []
    revoked = key(3, sealed=b"", revoked_at=NOW + 7)
    assert await store.keys.swap_keys([], [revoked, key(1, algorithm="EdDSA"), key(2, activates_at=2**53 - 1)])
    assert await store.keys.list_keys() == [key(1, algorithm="EdDSA"), key(2, activates_at=2**53 - 1), revoked]


async def test_one_step_adds_changes_and_takes_away(store: Repositories) -> None:
    assert await store.keys.swap_keys([], [key(1), key(2), key(3)])
    changed = replace(key(2), sealed=b"other", revoked_at=NOW)
    assert await store.keys.swap_keys([key(1), key(2), key(3)], [key(1), changed, key(4)])
    assert await store.keys.list_keys() == [key(1), changed, key(4)]


async def test_keys_that_are_not_those_that_were_seen_stay_as_they_are(store: Repositories) -> None:
    before = [key(1), key(2)]
    assert await store.keys.swap_keys([], before)
    for seen in ([], [key(1)], [key(2), key(1)], [key(1), replace(key(2), sealed=b"x")], [*before, key(3)]):
        assert await store.keys.swap_keys(seen, [key(9)]) is False
    assert await store.keys.list_keys() == before


async def test_of_processes_that_saw_the_same_one_changes_the_keys(
    store: Repositories, open_another: OpenStore
) -> None:
    stores = [store, await open_another()]
    seen: list[KeyRecord] = []
    for start in (0, 20):
        done = await asyncio.gather(
            *(stores[number % 2].keys.swap_keys(seen, [*seen, key(number)]) for number in range(start, start + 20))
        )
        assert done.count(True) == 1
        seen = [*seen, key(start + done.index(True))]
        for each in stores:
            assert await each.keys.list_keys() == seen


async def test_a_change_of_keys_is_announced_to_other_processes(store: Repositories, open_another: OpenStore) -> None:
    other = await open_another()
    # The first wait learns where it stands.
    await other.driver.wait_for_change(0.5)
    waiting = asyncio.create_task(other.driver.wait_for_change(60))
    await asyncio.sleep(0)
    assert await store.keys.swap_keys([], [key(1)])
    async with asyncio.timeout(10):
        await waiting
