"""Addresses at the same moment: of what excludes each other one is there, also with several nodes on one store."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable
from typing import Any

import pytest

from server.core.errors import ApiError
from server.repositories import Repositories
from tests.records import NOW, add_user, all_users, change_user, id_of, import_users, new_user
from tests.stores import OpenStore

ROUNDS = 4
# The last one is the same as an address only: two usernames may differ like this.
SPELLINGS = ("lak@bücher.example", "LAK@Bücher.example", "\uff4cak@bücher.example", "lak@xn--bcher-kva.example")


@pytest.fixture
async def nodes(store_url: str, store: Repositories, open_another: OpenStore) -> list[Repositories]:
    """An SQLite file has one server."""
    return [store] if store_url.startswith("sqlite") else [store, await open_another(), await open_another()]


async def outcome(call: Awaitable[object]) -> str:
    try:
        await call
    except ApiError as refused:
        return refused.code
    return "done"


async def assert_all_names_lead_to_their_users(store: Repositories) -> None:
    for user in await all_users(store):
        emails = await store.emails.list_emails(user.id)
        for name in (user.username, *(email.email for email in emails if email.verified)):
            found = await store.users.find_credentials(name)
            assert found is not None
            assert found.user == user, name
        # What stands in the row of the user is the address that is marked as primary.
        primary = [(email.email, email.verified_at) for email in emails if email.primary]
        assert primary == ([] if user.email is None else [(user.email, user.email_verified_at)])


async def test_of_usernames_and_addresses_that_are_the_same_one_is_there(nodes: list[Repositories]) -> None:
    """Accounts are made with the username or the address, others renamed to it or given it, and imported."""
    for number_of_round in range(ROUNDS):
        first = number_of_round * 100
        texts = [f"{number_of_round}{text}" for text in SPELLINGS]
        for number in range(16):
            await add_user(nodes[0], new_user(first + number))
        calls: list[Awaitable[str]] = []
        for number in range(16):
            node = nodes[number % len(nodes)]
            as_name, as_address = {"username": texts[number // 2 % 3]}, {"email": texts[number // 2 % 4]}
            by_name = number % 4 in (0, 3) if number_of_round % 2 else number % 4 in (1, 2)
            made: dict[str, Any] = dict(as_name) if by_name else {**as_address, "email_verified": True}
            calls.append(outcome(add_user(node, new_user(first + 20 + number, **made))))
            change: dict[str, Any] = dict(as_address if by_name else as_name)
            calls.append(outcome(change_user(node, id_of(first + number), NOW + 1, **change)))
            if number % 4 == 0:
                batch = [new_user(first + 40 + number, **made), new_user(first + 60 + number)]
                calls.append(outcome(import_users(node, batch, NOW)))
        outcomes = Counter(await asyncio.gather(*calls))
        assert set(outcomes) <= {"done", "username_taken", "email_taken"}
        # All four imports are, with or without this one account, and of the others at most one.
        assert outcomes["done"] in (4, 5)
        found = [await nodes[0].users.find_credentials(text) for text in texts]
        assert len({each.user.id for each in found if each is not None}) == 1
        assert None not in found[:3]
    await assert_all_names_lead_to_their_users(nodes[0])


async def test_addresses_that_are_given_and_taken_away_at_the_same_moment_stay_whole(nodes: list[Repositories]) -> None:
    for number in (1, 2):
        await add_user(nodes[0], new_user(number))
    for _ in range(ROUNDS):
        calls = [
            outcome(
                change_user(
                    nodes[number % len(nodes)],
                    id_of(1 + number % 2),
                    NOW + number,
                    email=(None, "a@example.com", "b@example.com")[number % 3],
                )
            )
            for number in range(24)
        ]
        assert set(await asyncio.gather(*calls)) <= {"done", "email_taken"}
        for number in (1, 2):
            assert len(await nodes[0].emails.list_emails(id_of(number))) <= 1
        await assert_all_names_lead_to_their_users(nodes[0])
