"""How often somebody may register, and look at invitations."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from server.passwords.hasher import Hasher
from server.settings.tree import LimitSettings, PasswordSettings
from tests.registration.inviting import BEHIND_A_PROXY, BY_INVITATION, OPEN, invite, sign_up, used
from tests.running import PASSWORD, Api, StartApi

LIMITS = LimitSettings(address_guesses_per_hour=5, all_guesses_per_hour=12)


async def check(api: Api, token: str, address: str = "192.0.2.1") -> int:
    headers = {"X-Forwarded-For": address}
    response = await api.request("POST", "/invitations/check", json={"invitation_token": token}, headers=headers)
    if response.status == 429:
        assert 0 < int(response.headers["Retry-After"]) <= 3600
        await api.problem(response, 429, "too_many_attempts")
    return response.status


async def test_invitation_tokens_are_not_tried_for_ever_and_a_good_one_costs_nothing(start_api: StartApi) -> None:
    api = await start_api(**BY_INVITATION, **BEHIND_A_PROXY, limits=LIMITS)
    _, token = await invite(api)
    assert [await check(api, token) for _ in range(20)] == [200] * 20
    statuses = [await check(api, "wwi_nothing") for _ in range(3)]
    # One budget for both.
    statuses += [(await sign_up(api, token="wwi_nothing")).status for _ in range(4)]
    assert statuses == [400] * 5 + [429] * 2
    # The good one is not looked at either, from this address.
    assert [await check(api, token), await check(api, token, "192.0.2.2")] == [429, 200]
    # Logins have budgets of their own.
    assert (await api.log_in("lak"))["token"]
    api.clock.advance(720)
    assert [await check(api, "wwi_nothing"), await check(api, "wwi_nothing")] == [400, 429]


async def test_all_together_register_at_most_so_often(start_api: StartApi) -> None:
    api = await start_api(**OPEN, **BEHIND_A_PROXY, limits=LIMITS)
    statuses = [(await sign_up(api, f"user{n}", address=f"192.0.2.{n}")).status for n in range(15)]
    assert statuses == [201] * 12 + [429] * 3


@pytest.mark.parametrize("mode", [OPEN, BY_INVITATION])
async def test_strangers_who_use_up_the_budget_of_all_keep_nobody_out_who_is_invited(
    start_api: StartApi, mode: dict[str, Any]
) -> None:
    api = await start_api(**mode, **BEHIND_A_PROXY, limits=LIMITS)
    _, token = await invite(api, uses=2)
    statuses = [await check(api, "wwi_nothing", f"192.0.2.{n}") for n in range(15)]
    assert statuses == [400] * 12 + [429] * 3
    assert await check(api, token, "198.51.100.1") == 200
    assert (await sign_up(api, "invited", token, address="198.51.100.1")).status == 201
    # Who has a token tries out no more names with it than others do.
    assert [(await sign_up(api, "lak", token, address="198.51.100.1")).status for _ in range(6)] == [409] * 5 + [429]


async def test_an_address_registers_at_most_so_often_also_at_once(start_api: StartApi) -> None:
    api = await start_api(**OPEN, **BEHIND_A_PROXY, limits=LIMITS)
    responses = await asyncio.gather(*(sign_up(api, f"user{n}") for n in range(20)))
    assert sorted({response.status for response in responses}) in ([201, 429], [201, 429, 503], [201, 503])
    assert [response.status for response in responses].count(201) == 5
    assert (await sign_up(api, "more")).status == 429
    # Names are not tried for ever either, to see which ones there are.
    api.clock.advance(3600)
    assert [(await sign_up(api, "lak")).status for _ in range(6)] == [409] * 5 + [429]


async def test_who_is_invited_pays_by_the_invitation_alone(start_api: StartApi) -> None:
    api = await start_api(**OPEN, **BEHIND_A_PROXY, limits=LIMITS)
    _, token = await invite(api, uses=8)
    assert [(await sign_up(api, f"user{n}", token)).status for n in range(8)] == [201] * 8
    assert (await sign_up(api, "more")).status == 201


class Gate:
    """Lets passwords be hashed when told, and counts those that a thread has begun."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = 0
        self.opened = threading.Event()
        self.started = asyncio.Event()
        loop = asyncio.get_running_loop()
        make = Hasher.hash

        def gated(hasher: Hasher, password: str) -> str:
            self.begun += 1
            loop.call_soon_threadsafe(self.started.set)
            self.opened.wait(30)
            return make(hasher, password)

        monkeypatch.setattr(Hasher, "hash", gated)


async def test_a_taken_name_a_taken_address_and_free_ones_cost_one_hash_each(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = await start_api(**OPEN)
    user_id = (await api.services.users.credentials_of("lak")).user.id
    await api.services.users.update(user_id, email="lak@example.com")
    gate = Gate(monkeypatch)
    gate.opened.set()
    kinds = (("lak", "a@example.com"), ("taken", "lak@example.com"), ("free", "b@example.com"))
    statuses = [(await sign_up(api, username, email=email)).status for username, email in kinds]
    assert (statuses, gate.begun) == ([409, 201, 201], 3)


async def test_who_registers_waits_in_the_queue_of_strangers(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it is full, nobody pays and no use is spent; known devices and admins do not wait there."""
    passwords = PasswordSettings(bcrypt_cost=4, hash_threads=1, hash_queue=0)
    limits = LimitSettings(address_guesses_per_hour=2)
    api = await start_api(**OPEN, **BEHIND_A_PROXY, limits=limits, passwords=passwords)
    invitation, token = await invite(api)
    admin = await api.token("sahan")
    gate = Gate(monkeypatch)
    first = asyncio.create_task(sign_up(api, "first", address="192.0.2.9"))
    await gate.started.wait()
    for number in range(5):
        refused = await sign_up(api, f"user{number}", token if number % 2 else None)
        await api.problem(refused, 503, "overloaded")
        assert int(refused.headers["Retry-After"]) >= 1
    monkeypatch.undo()
    change = {"current_password": PASSWORD, "new_password": "seven lamps wander north"}
    assert (await api.request("POST", "/me/password", admin, json=change)).status == 204
    gate.opened.set()
    assert (await first).status == 201
    assert [(await sign_up(api, f"user{n}")).status for n in range(3)] == [201, 201, 429]
    assert await used(api, invitation) == 0
