"""get_user, the busiest query: many callers, few hops, and nobody hurts another."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from server.core.errors import StoreUnavailable
from server.repositories import Repositories
from server.users.lookups import UserLookups
from server.users.model import User
from tests.records import add_user, id_of, new_user, rename


def _user(user_id: str) -> User:
    return User(user_id, user_id, user_id, "customer", None, 0, 0, None)


class _Fetch:
    """Knows every user but `gone`; counts the queries."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.failure: Exception | None = None
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, user_ids: list[str]) -> dict[str, User]:
        self.asked.append(sorted(user_ids))
        self.begun.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return {user_id: _user(user_id) for user_id in user_ids if user_id != "gone"}


async def test_calls_of_one_turn_share_a_query() -> None:
    fetch = _Fetch()
    lookups = UserLookups(fetch)
    found = await asyncio.gather(*(lookups.get(user_id) for user_id in ("a", "b", "a", "gone")))
    assert found == [_user("a"), _user("b"), _user("a"), None]
    assert fetch.asked == [["a", "b", "gone"]]


async def test_a_later_call_asks_anew() -> None:
    fetch = _Fetch()
    fetch.gate.clear()
    lookups = UserLookups(fetch)
    first = lookups.get("a")
    await fetch.begun.wait()
    # What it would get from the query under way could be older than this call.
    second = lookups.get("a")
    fetch.gate.set()
    assert list(await asyncio.gather(first, second)) == [_user("a"), _user("a")]
    assert fetch.asked == [["a"], ["a"]]


async def test_a_cancelled_caller_does_not_hurt_the_others() -> None:
    fetch = _Fetch()
    fetch.gate.clear()
    lookups = UserLookups(fetch)
    early, late, patient, same = (lookups.get(user_id) for user_id in ("a", "b", "c", "b"))
    early.cancel()
    await fetch.begun.wait()
    late.cancel()
    fetch.gate.set()
    assert await patient == _user("c")
    assert await same == _user("b")
    assert fetch.asked == [["b", "c"]]


async def test_nobody_left_means_no_query() -> None:
    fetch = _Fetch()
    lookups = UserLookups(fetch)
    lookups.get("a").cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await lookups.get("b") == _user("b")
    assert fetch.asked == [["b"]]


async def test_a_failure_reaches_all_and_ends_there() -> None:
    fetch = _Fetch()
    fetch.failure = StoreUnavailable()
    lookups = UserLookups(fetch)
    outcomes = await asyncio.gather(lookups.get("a"), lookups.get("b"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable, StoreUnavailable]
    fetch.failure = None
    assert await lookups.get("a") == _user("a")


async def test_sixty_four_callers_make_one_query(store: Repositories, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(8):
        await add_user(store, new_user(number))
    assert isinstance(store, Repositories)
    read = store.driver.read
    queries: list[str] = []

    async def counted(sql: str, *parameters: Any) -> Any:
        queries.append(sql)
        return await read(sql, *parameters)

    monkeypatch.setattr(store.driver, "read", counted)
    callers = [asyncio.create_task(store.users.get_user(id_of(number % 9))) for number in range(64)]
    await asyncio.sleep(0)
    callers[0].cancel()
    found = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    usernames = [user.username if isinstance(user, User) else user for user in found[1:]]
    assert usernames == [f"user{number % 9}" if number % 9 < 8 else None for number in range(1, 64)]
    assert len(queries) == 1


@pytest.mark.parametrize("strange", ["\0", "\ud800", "a\0b", "", "'; --", "[1]", '"'])
async def test_a_strange_id_is_nobody_and_does_not_spoil_the_query(store: Repositories, strange: str) -> None:
    made = await add_user(store, new_user(1))
    assert list(await asyncio.gather(store.users.get_user(strange), store.users.get_user(id_of(1)))) == [None, made]
    assert await store.users.get_credentials(strange) is None
    assert await store.users.find_credentials(strange) is None


async def test_a_lookup_sees_what_was_written_before_it(store: Repositories) -> None:
    await add_user(store, new_user(1))
    for number in range(30):
        await rename(store, 1, f"Name {number}", number)
        user = await store.users.get_user(id_of(1))
        assert user is not None
        assert user.name == f"Name {number}"
