from __future__ import annotations

import asyncio

import pytest

from server.core.errors import NotFound
from server.repositories import Repositories
from server.users.errors import UsernameTaken
from server.users.model import Credentials, User, UserFilter
from tests.records import NOW, add_first_user, add_user, all_users, id_of, new_user, rename, set_password, usernames
from tests.stores import OpenStore


async def test_a_new_user_is_found_by_id_and_by_name(store: Repositories) -> None:
    made = await add_user(store, new_user(1, username="Lak", name="Lak P.", role="admin"))
    assert made == User(id_of(1), "Lak", "Lak P.", "admin", None, NOW, NOW, None)
    assert not made.disabled
    assert await store.users.get_user(id_of(1)) == made
    assert await store.users.get_credentials(id_of(1)) == Credentials(made, "hash", NOW)
    assert await store.users.find_credentials("lak") == Credentials(made, "hash", NOW)


async def test_who_is_not_there_is_none(store: Repositories) -> None:
    assert await store.users.get_user(id_of(9)) is None
    assert await store.users.get_credentials(id_of(9)) is None
    assert await store.users.find_credentials("nobody") is None


async def test_a_user_may_have_no_password(store: Repositories) -> None:
    await add_user(store, new_user(1, password_hash=None))
    credentials = await store.users.get_credentials(id_of(1))
    assert credentials is not None
    assert credentials.password_hash is None


@pytest.mark.parametrize(
    ("first", "second"),
    [("lak", "LAK"), ("Lak", "lak"), ("STRAẞE", "Straße"), ("ÉMILE", "e\u0301mile"), ("lak", "\uff2cak")],
)
async def test_names_of_one_key_are_one(store: Repositories, first: str, second: str) -> None:
    await add_user(store, new_user(1, username=first))
    with pytest.raises(UsernameTaken):
        await add_user(store, new_user(2, username=second))
    found = await store.users.find_credentials(second)
    assert found is not None
    assert found.user.username == first
    assert await store.users.get_user(id_of(2)) is None


async def test_what_is_no_username_is_not_kept_and_not_there(store: Repositories) -> None:
    for username in ("two words", "", "a\0", "p\u0430ypal"):
        with pytest.raises(ValueError, match="is no username"):
            await add_user(store, new_user(1, username=username))
        assert await store.users.find_credentials(username) is None
    assert await all_users(store) == []


async def test_of_simultaneous_inserts_of_one_name_one_succeeds(store: Repositories, open_another: OpenStore) -> None:
    stores = [store, await open_another()]
    outcomes = await asyncio.gather(
        *(add_user(stores[n % 2], new_user(n, username="lak")) for n in range(30)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["User"] + 29 * ["UsernameTaken"]
    assert len(await all_users(store)) == 1


async def test_of_simultaneous_first_users_one_is_first(store: Repositories, open_another: OpenStore) -> None:
    stores = [store, await open_another()]
    outcomes = await asyncio.gather(*(add_first_user(stores[n % 2], new_user(n)) for n in range(50)))
    assert outcomes.count(True) == 1
    assert [user.id for user in await all_users(store)] == [id_of(outcomes.index(True))]


async def test_a_first_user_is_refused_when_there_is_one(store: Repositories) -> None:
    await add_user(store, new_user(1))
    assert await add_first_user(store, new_user(2)) is False
    assert await usernames(store) == {"user1"}


async def test_renaming(store: Repositories) -> None:
    await add_user(store, new_user(1, username="lak"))
    renamed = await rename(store, 1, "Ünal", NOW + 7)
    assert renamed == User(id_of(1), "lak", "Ünal", "customer", None, NOW, NOW + 7, None)
    assert await store.users.get_user(id_of(1)) == renamed
    assert await store.users.list_users(UserFilter(limit=5, text="üNAL")) == [renamed]
    assert await store.users.list_users(UserFilter(limit=5, text="name 1")) == []
    with pytest.raises(NotFound):
        await rename(store, 2, "x", NOW)


async def test_a_hash_is_renewed_only_if_it_is_still_the_same(store: Repositories) -> None:
    await add_user(store, new_user(1))
    assert await store.users.renew_password_hash(id_of(1), "other", "new") is False
    assert await store.users.renew_password_hash(id_of(1), "hash", "new") is True
    credentials = await store.users.get_credentials(id_of(1))
    assert credentials is not None
    assert (credentials.password_hash, credentials.password_changed_at) == ("new", NOW)


@pytest.mark.parametrize(("now", "changed_at"), [(NOW + 50, NOW + 50), (NOW, NOW + 1), (NOW - 50, NOW + 1)])
async def test_the_state_of_a_password_always_rises(store: Repositories, now: int, changed_at: int) -> None:
    await add_user(store, new_user(1))
    assert await set_password(store, 1, "new", NOW, now) is True
    credentials = await store.users.get_credentials(id_of(1))
    assert credentials is not None
    assert (credentials.password_hash, credentials.password_changed_at) == ("new", changed_at)
    assert credentials.user.updated_at == now
    assert await set_password(store, 1, "again", NOW, now) is False
    assert await set_password(store, 2, "nobody", NOW, now) is False


async def test_of_simultaneous_password_changes_one_succeeds(store: Repositories, open_another: OpenStore) -> None:
    await add_user(store, new_user(1))
    stores = [store, await open_another()]
    outcomes = await asyncio.gather(*(set_password(stores[n % 2], 1, f"hash {n}", NOW, NOW + n) for n in range(20)))
    assert outcomes.count(True) == 1
    credentials = await store.users.get_credentials(id_of(1))
    assert credentials is not None
    assert credentials.password_hash == f"hash {outcomes.index(True)}"
