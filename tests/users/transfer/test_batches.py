from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from server.repositories import Repositories
from server.users.model import Credentials, User, UserFilter
from tests.records import NOW, add_user, all_users, id_of, import_users, new_user, set_password
from tests.stores import OpenStore


def moved(number: int, hashed: str | None = "hash", **changes: Any) -> Credentials:
    user = User(id_of(number), f"user{number}", f"Name {number}", "customer", None, NOW, NOW + 1, None)
    return Credentials(replace(user, **changes), hashed, NOW + 2)


async def _listed(store: Repositories, limit: int = 10_000) -> list[Credentials]:
    return await store.users.list_credentials(limit)


async def test_users_are_moved_in_as_they_are_and_listed_so(store: Repositories) -> None:
    given = [
        moved(1, username="Lak", name="Ünal", role="admin", disabled_at=NOW - 5, last_login_at=NOW - 7),
        moved(2, None),
    ]
    assert await import_users(store, given, NOW) == [None, None]
    assert await _listed(store) == given
    assert await store.users.find_credentials("LAK") == given[0]
    assert await store.users.get_credentials(id_of(2)) == given[1]
    assert await store.users.list_users(UserFilter(limit=5, text="üNAL")) == [given[0].user]
    assert await import_users(store, [], NOW) == []


async def test_a_taken_name_or_id_is_told_and_changes_nothing(store: Repositories) -> None:
    here = [await add_user(store, new_user(number)) for number in (1, 2)]
    given = [
        moved(1, username="other"),
        moved(3, username="USER1"),
        moved(2, username="user1"),
        moved(4),
        moved(5, username="user2"),
    ]
    expected = [here[0], here[0], here[0], None, here[1]]
    assert await store.users.find_holders(given) == expected
    assert await all_users(store) == here
    assert await import_users(store, given, NOW) == expected
    assert await all_users(store) == [*here, given[3].user]
    # Once more, as after an interruption: all are there now.
    assert await import_users(store, given, NOW) == [*expected[:3], given[3].user, here[1]]
    assert len(await all_users(store)) == 3


async def test_a_large_batch_is_one_step(store: Repositories, open_another: OpenStore) -> None:
    other = await open_another()
    given = [moved(number) for number in range(1, 1235)]
    seen = {len(await other.users.list_credentials(5000))}

    async def watch() -> None:
        while len(seen) < 2:
            seen.add(len(await other.users.list_credentials(5000)))

    watching = asyncio.create_task(watch())
    assert await import_users(store, given, NOW) == [None] * 1234
    async with asyncio.timeout(30):
        await watching
    assert seen == {0, 1234}
    assert await _listed(store) == given


async def test_pages_go_on_where_the_last_one_ended(store: Repositories) -> None:
    given = [moved(number) for number in range(1, 8)]
    await import_users(store, given, NOW)
    pages = [await store.users.list_credentials(3)]
    while pages[-1]:
        pages.append(await store.users.list_credentials(3, pages[-1][-1].user.id))
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert [one for page in pages for one in page] == given


async def test_of_simultaneous_moves_of_one_file_each_user_is_made_once(
    store: Repositories, open_another: OpenStore
) -> None:
    stores = [store, await open_another(), await open_another()]
    given = [moved(number) for number in range(1, 301)]
    outcomes = await asyncio.gather(
        *(import_users(one, given[::step], NOW) for one, step in zip(stores, (1, -1, 1), strict=True))
    )
    made = [sum(holder is None for holder in outcome) for outcome in outcomes]
    assert sum(made) == 300
    assert {holder.id for outcome in outcomes for holder in outcome if holder is not None} <= {
        id_of(n) for n in range(1, 301)
    }
    assert await _listed(store) == given


async def test_what_was_moved_in_is_an_account_like_any_other(store: Repositories) -> None:
    await import_users(store, [moved(1)], NOW)
    assert await store.users.renew_password_hash(id_of(1), "hash", "new") is True
    assert await set_password(store, 1, "newer", NOW + 2, NOW + 50) is True
    assert [one.password_hash for one in await _listed(store)] == ["newer"]
