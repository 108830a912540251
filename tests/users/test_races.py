"""Requests at the same moment: what may happen once happens once, also with two servers on one store."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from server.settings.tree import RoleSettings, default_roles
from server.users.model import User, UserFilter
from tests.running import PASSWORD, Api, StartApi

TIMES = 50
ROUNDS = 4
# All that takes an admin away.
WAYS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("PATCH", {"json": {"role": "customer"}}),
    ("PATCH", {"json": {"disabled": True}}),
    ("PATCH", {"json": {"role": "customer", "disabled": True}}),
    ("DELETE", {}),
)
SPELLINGS = (
    "pasindu",
    "PASINDU",
    "Pasindu",
    "\uff30\uff41\uff53indu",
    "pas\uff49ndu",
    "\uff30\uff21\uff33\uff29\uff2e\uff24\uff35",
)
# May change users and is no admin, so no demotion is refused for whom it comes from.
SUPPORT: dict[str, Any] = {
    "roles": default_roles() | {"support": RoleSettings()},
    "access": {"PATCH /users/{user_id}": ("support",), "DELETE /users/{user_id}": ("support",)},
}


@pytest.fixture
def count(store_url: str) -> int:
    """How many servers share the store: an SQLite file has one."""
    return 1 if store_url.startswith("sqlite") else 2


async def users_named(api: Api, text: str) -> list[User]:
    return await api.services.repositories.users.list_users(UserFilter(limit=200, text=text))


async def enabled_admins(api: Api) -> set[str]:
    found = await api.services.repositories.users.list_users(UserFilter(limit=200, role="admin", disabled=False))
    return {user.id for user in found}


async def outcome(api: Api, method: str, user_id: str, token: str, options: dict[str, Any]) -> str:
    """Done, or the code of the refusal."""
    response = await api.request(method, f"/users/{user_id}", token, **options)
    if response.ok:
        return "done"
    code: str = (await response.json())["code"]
    await api.problem(response, response.status, code)
    return code


async def test_of_50_demotions_of_the_last_two_admins_at_once_one_admin_is_left(
    start_api: StartApi, count: int
) -> None:
    servers = [await start_api(**SUPPORT) for _ in range(count)]
    users = servers[0].services.users
    await users.create("helper", "Helper", "support", PASSWORD)
    token = await servers[0].token("helper")
    for number in range(ROUNDS):
        await users.create(f"admin{number}", "Admin", "admin", None)
        last_two = sorted(await enabled_admins(servers[0]))
        assert len(last_two) == 2
        # Each way meets each of the two, on each server; every round begins with another.
        calls = [(servers[n // 2 % count], *WAYS[(n // 4 + number) % len(WAYS)], last_two[n % 2]) for n in range(TIMES)]
        outcomes = await asyncio.gather(
            *(outcome(server, method, user_id, token, options) for server, method, options, user_id in calls)
        )
        (left,) = await enabled_admins(servers[0])
        of_each = {user_id: Counter[str]() for user_id in last_two}
        for (*_, user_id), said in zip(calls, outcomes, strict=True):
            of_each[user_id][said] += 1
        assert of_each.pop(left) == {"last_admin": TIMES // 2}
        (of_other,) = of_each.values()
        assert of_other["done"] > 0
        # Who is deleted is not found; of those that are done none was the last.
        assert of_other["done"] + of_other["not_found"] == TIMES // 2


async def test_of_two_admins_who_take_each_other_away_one_is_left_and_goes_on(start_api: StartApi, count: int) -> None:
    servers = [await start_api() for _ in range(count)]
    for number in range(ROUNDS):
        await servers[0].services.users.create(f"admin{number}", "Admin", "admin", PASSWORD)
        tokens = {}
        for user_id in await enabled_admins(servers[0]):
            username = (await servers[0].services.users.get(user_id)).username
            tokens[user_id] = await servers[0].token(username)
        last_two = list(tokens)
        calls = [(servers[n // 2 % count], *WAYS[(n // 4 + number) % len(WAYS)], n % 2) for n in range(TIMES)]
        outcomes = await asyncio.gather(
            *(
                outcome(server, method, last_two[1 - own], tokens[last_two[own]], options)
                for server, method, options, own in calls
            )
        )
        (left,) = await enabled_admins(servers[0])
        # What the other one sent is refused as soon as a server knows, and before by the store.
        assert set(outcomes) <= {"done", "not_found", "last_admin", "token_revoked"}
        assert "done" in outcomes
        assert {said for said, (*_, own) in zip(outcomes, calls, strict=True) if last_two[own] != left} <= {
            "last_admin",
            "token_revoked",
        }
        assert (await servers[0].request("GET", "/users", tokens[left])).status == 200


async def test_of_50_users_of_one_name_made_at_once_there_is_one(start_api: StartApi, count: int) -> None:
    servers = [await start_api() for _ in range(count)]
    token = await servers[0].token("sahan")

    async def make(number: int) -> tuple[int, str]:
        server = servers[number % count]
        user = {"username": SPELLINGS[number % len(SPELLINGS)], "name": f"Number {number}", "role": "customer"}
        # Some wait for their hash, so not all arrive in the order in which they were sent.
        password = {"password": PASSWORD} if number % 3 else {}
        response = await server.request("POST", "/users", token, json=user | password)
        if response.status != 201:
            await server.problem(response, 409, "username_taken")
            return response.status, ""
        return response.status, (await response.json())["user"]["id"]

    answers = await asyncio.gather(*map(make, range(TIMES)))
    assert Counter(status for status, _ in answers) == {201: 1, 409: TIMES - 1}
    (winner,) = {user_id for _, user_id in answers if user_id}
    assert [user.id for user in await users_named(servers[-1], "Number")] == [winner]
    assert [user.id for user in await users_named(servers[-1], "pasindu")] == [winner]
