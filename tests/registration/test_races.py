"""Registrations at the same moment: a use is spent once, also with two servers on one store."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from server.settings.tree import PasswordSettings
from server.users.model import UserFilter
from tests.registration.inviting import BY_INVITATION, OPEN, invite, is_there, sign_up, used
from tests.running import PASSWORD, Api, StartApi

TIMES = 50
ROOM: dict[str, Any] = {"passwords": PasswordSettings(bcrypt_cost=4, hash_queue=200, hash_wait_seconds=50)}


@pytest.fixture
async def servers(start_api: StartApi, store_url: str) -> list[Api]:
    """On SQLite one, since it is a file of one server."""
    return [await start_api(**BY_INVITATION, **ROOM) for _ in range(1 if store_url.startswith("sqlite") else 2)]


async def outcome(api: Api, username: str, token: str, **fields: Any) -> str:
    """Done, or the code of the refusal. Who is told to come again, since the machine is busy, does."""
    for _ in range(TIMES):
        response = await sign_up(api, username, token, **fields)
        if response.status != 503:
            break
    if response.status == 201:
        return "done"
    code: str = (await response.json())["code"]
    return code


async def at_once(servers: list[Api], token: str, name: str = "user{}", **fields: Any) -> Counter[str]:
    calls = [outcome(servers[n % len(servers)], name.format(n), token, **fields) for n in range(TIMES)]
    return Counter(await asyncio.gather(*calls))


async def count_of(api: Api, text: str) -> int:
    return len(await api.services.repositories.users.list_users(UserFilter(limit=200, text=text)))


async def test_of_50_at_once_as_many_register_as_the_invitation_has_uses(servers: list[Api]) -> None:
    for number, uses in enumerate((1, 3)):
        invitation, token = await invite(servers[0], uses=uses)
        outcomes = await at_once(servers, token, f"guest{number}-{{}}")
        assert outcomes == {"done": uses, "invitation_invalid": TIMES - uses}
        assert await count_of(servers[-1], f"guest{number}") == await used(servers[0], invitation) == uses


async def test_of_50_who_want_one_name_one_gets_it_and_one_use_is_spent(servers: list[Api]) -> None:
    invitation, token = await invite(servers[0], uses=TIMES)
    assert await at_once(servers, token, "nuwan") == {"done": 1, "username_taken": TIMES - 1}
    assert await used(servers[0], invitation) == 1


async def test_of_several_invitations_for_one_address_one_verifies_it(servers: list[Api]) -> None:
    made = [await invite(servers[0], email="nuwan@example.com") for _ in range(6)]
    calls = [outcome(servers[n % len(servers)], f"user{n}", token) for n, (_, token) in enumerate(made)]
    assert Counter(await asyncio.gather(*calls)) == {"done": 1, "email_taken": len(made) - 1}
    assert sum([await used(servers[0], invitation) for invitation, _ in made]) == 1


async def test_nobody_registers_after_the_withdrawal_was_answered(servers: list[Api]) -> None:
    invitation, token = await invite(servers[0], uses=TIMES)
    admin = await servers[0].token("sahan")
    path = f"/invitations/{invitation['id']}"

    async def withdraw() -> int:
        response = await servers[-1].request("DELETE", path, admin)
        assert response.status == 204
        return await used(servers[0], invitation)

    outcomes, at_withdrawal = await asyncio.gather(at_once(servers, token), withdraw())
    assert outcomes["done"] + outcomes["invitation_invalid"] == TIMES
    assert outcomes["done"] == await used(servers[0], invitation) == await count_of(servers[0], "user") == at_withdrawal


@pytest.mark.parametrize("way", ["demoted", "deleted"])
async def test_nobody_registers_after_the_answer_that_the_maker_is_no_admin_any_more(
    servers: list[Api], way: str
) -> None:
    inviter = (await servers[0].services.users.create("inviter", "Inviter", "admin", PASSWORD)).user
    invitation, token = await invite(servers[0], "inviter", uses=TIMES)
    users = servers[-1].services.users

    async def demote() -> int:
        await (users.delete(inviter.id) if way == "deleted" else users.update(inviter.id, role="customer"))
        return await used(servers[0], invitation)

    outcomes, at_demotion = await asyncio.gather(at_once(servers, token), demote())
    assert outcomes["done"] + outcomes["invitation_invalid"] == TIMES
    assert outcomes["done"] == await used(servers[0], invitation) == await count_of(servers[0], "user") == at_demotion


async def test_of_50_who_register_one_name_in_the_open_one_gets_it(start_api: StartApi) -> None:
    api = await start_api(**OPEN, **ROOM)
    statuses = Counter([response.status for response in await asyncio.gather(*(sign_up(api) for _ in range(TIMES)))])
    assert statuses == {201: 1, 409: TIMES - 1}
    assert await is_there(api, "nuwan")
