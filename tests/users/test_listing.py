from __future__ import annotations

import asyncio

import pytest

from server.repositories import Repositories
from server.users.model import UserFilter
from tests.records import add_user, id_of, new_user


async def _found(store: Repositories, wanted: UserFilter) -> list[str]:
    return [user.username for user in await store.users.list_users(wanted)]


async def test_users_come_in_the_order_of_their_ids(store: Repositories) -> None:
    for number in (3, 1, 2):
        await add_user(store, new_user(number))
    assert await _found(store, UserFilter(limit=10)) == ["user1", "user2", "user3"]
    assert await _found(store, UserFilter(limit=2)) == ["user1", "user2"]
    assert await _found(store, UserFilter(limit=2, after_id=id_of(2))) == ["user3"]
    assert await _found(store, UserFilter(limit=2, after_id=id_of(3))) == []


async def test_ids_are_ordered_by_byte(store: Repositories) -> None:
    for number, user_id in enumerate(["b", "B", "a-1", "a1", "A"]):
        await add_user(store, new_user(number, user_id=user_id))
    assert [user.id for user in await store.users.list_users(UserFilter(limit=10))] == ["A", "B", "a-1", "a1", "b"]


async def test_filters_hold_together(store: Repositories) -> None:
    await add_user(store, new_user(1, username="lak", role="admin"))
    await add_user(store, new_user(2, username="Lakshmi"))
    await add_user(store, new_user(3, username="david", name="Black"))
    assert await _found(store, UserFilter(limit=10, text="LAK")) == ["lak", "Lakshmi"]
    assert await _found(store, UserFilter(limit=10, text="lac")) == ["david"]
    assert await _found(store, UserFilter(limit=10, text="lak", role="customer")) == ["Lakshmi"]
    assert await _found(store, UserFilter(limit=10, role="admin")) == ["lak"]
    assert await _found(store, UserFilter(limit=10, disabled=False)) == ["lak", "Lakshmi", "david"]
    assert await _found(store, UserFilter(limit=10, disabled=True)) == []
    assert await _found(store, UserFilter(limit=10, text="lak", after_id=id_of(1))) == ["Lakshmi"]


@pytest.mark.parametrize("text", ["%", "_", "\\", "50%", "a_b", "\\%"])
async def test_wildcards_in_a_text_are_plain_characters(store: Repositories, text: str) -> None:
    await add_user(store, new_user(1, name="plain ab 50 aXb"))
    await add_user(store, new_user(2, name=f"with {text} inside"))
    assert await _found(store, UserFilter(limit=10, text=text)) == ["user2"]


@pytest.mark.parametrize("wanted", [{"text": "a\0"}, {"text": "\ud800"}, {"role": "\0"}, {"after_id": "\0"}])
async def test_text_that_no_store_holds_finds_nobody(store: Repositories, wanted: dict[str, str]) -> None:
    await add_user(store, new_user(1, name="a"))
    assert await store.users.list_users(UserFilter(limit=10, **wanted)) == []  # type: ignore[arg-type] # strings only


async def test_paging_neither_repeats_nor_skips_while_users_are_added(store: Repositories) -> None:
    for number in range(1, 41):
        await add_user(store, new_user(number))
    seen: list[str] = []

    async def add() -> None:
        for number in range(41, 81):
            await add_user(store, new_user(number))

    async def page() -> None:
        while batch := await store.users.list_users(UserFilter(limit=7, after_id=seen[-1] if seen else None)):
            seen.extend(user.id for user in batch)

    await asyncio.gather(add(), page())
    await page()
    assert seen == [id_of(number) for number in range(1, 81)]
