from __future__ import annotations

import asyncio

from server.store.protocol import Store
from tests.store.conftest import OpenStore
from tests.store.examples import signing_key


async def test_keys_come_back_as_they_were_in_the_order_of_activation(store: Store) -> None:
    assert await store.list_signing_keys() == []
    assert await store.add_signing_key(signing_key(2), None)
    assert await store.add_signing_key(signing_key(5), "key2")
    # Another algorithm has a chain of its own.
    assert await store.add_signing_key(signing_key(1, algorithm="EdDSA"), None)
    assert await store.list_signing_keys() == [signing_key(1, algorithm="EdDSA"), signing_key(2), signing_key(5)]


async def test_a_key_is_refused_when_another_came_first(store: Store) -> None:
    assert await store.add_signing_key(signing_key(1), "key0") is False
    assert await store.add_signing_key(signing_key(1), None)
    assert await store.add_signing_key(signing_key(2), None) is False
    assert await store.list_signing_keys() == [signing_key(1)]


async def test_of_nodes_that_rotate_at_once_one_adds(store: Store, open_another: OpenStore) -> None:
    stores = [store, await open_another()]
    first = await asyncio.gather(*(stores[n % 2].add_signing_key(signing_key(n), None) for n in range(20)))
    assert first.count(True) == 1
    latest = f"key{first.index(True)}"
    second = await asyncio.gather(
        *(stores[n % 2].add_signing_key(signing_key(n, activates_at=2_000_000_000_000), latest) for n in range(20, 40))
    )
    assert second.count(True) == 1
    assert [key.kid for key in await store.list_signing_keys()] == [latest, f"key{20 + second.index(True)}"]


async def test_a_key_is_deleted_once_or_twice(store: Store) -> None:
    await store.add_signing_key(signing_key(1), None)
    await store.add_signing_key(signing_key(2), "key1")
    await store.delete_signing_key("key1")
    await store.delete_signing_key("key1")
    assert await store.list_signing_keys() == [signing_key(2)]
