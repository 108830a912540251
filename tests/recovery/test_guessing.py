"""Guessing at mailed codes, from many addresses: few are looked at, and the owner gets in (ASVS 5.0, 6.6.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import aiohttp
import pytest

from server.challenges.digests import ChallengeDigests
from server.challenges.model import CODES, Purpose
from server.core.ids import id_in
from server.settings.tree import ServerSettings
from tests.recovery.asking import MAIL, NEW_PASSWORD, Mailed, ask_code, browser_of, forgot, mailed, mails, verify
from tests.running import PASSWORD, Api, StartApi
from tests.volume import volume

BEHIND_A_PROXY: dict[str, Any] = {"mail": MAIL, "server": ServerSettings(trusted_proxies=("127.0.0.0/8",))}
GUESSES = volume(1000)
WRONG = "2222-2222"
ADDRESSES = [f"198.51.100.{number}" for number in range(200)]


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the challenges that a code is compared with."""
    compared: list[str] = []
    digest = ChallengeDigests.code

    def watched(self: ChallengeDigests, purpose: Purpose, challenge_id: str, code: str) -> bytes:
        # What is compared with nobody's code is no id.
        if code == WRONG and id_in(challenge_id):
            compared.append(challenge_id)
        return digest(self, purpose, challenge_id, code)

    monkeypatch.setattr(ChallengeDigests, "code", watched)
    return compared


class Target:
    """A mail that somebody has asked for, and how its code and its link are sent."""

    def __init__(self, path: str, by_code: dict[str, str], token_field: str, more: dict[str, str]) -> None:
        self.path = path
        self._by_code = by_code
        self._token_field = token_field
        self._more = more

    async def send_code(self, api: Api, code: str, address: str) -> aiohttp.ClientResponse:
        body = {**self._by_code, **self._more, "code": code}
        return await api.request("POST", self.path, json=body, headers={"X-Forwarded-For": address})

    async def send_link(self, api: Api, mail: Mailed, browser: dict[str, str]) -> aiohttp.ClientResponse:
        body = {self._token_field: mail.token, **self._more}
        headers = browser | {"X-Forwarded-For": "192.0.2.1"}
        return await api.request("POST", self.path, json=body, headers=headers)

    async def guess(self, api: Api, count: int, *, at_once: bool) -> Sequence[int]:
        """The statuses of so many wrong codes, from many addresses in turn."""

        async def one(number: int) -> int:
            return (await self.send_code(api, WRONG, ADDRESSES[number % len(ADDRESSES)])).status

        if at_once:
            return await asyncio.gather(*(one(number) for number in range(count)))
        return [await one(number) for number in range(count)]


async def asked(api: Api, purpose: Purpose) -> tuple[Target, Mailed, dict[str, str]]:
    """What the owner has asked for, the mail, and the owner's browser."""
    await verify(api, "lak", "lak@example.com")
    headers = {"X-Forwarded-For": "192.0.2.1"}
    if purpose is Purpose.RESET_PASSWORD:
        response = await forgot(api, "lak", headers=headers)
        target = Target("/password/reset", {"identifier": "lak"}, "reset_token", {"new_password": NEW_PASSWORD})
        return target, await mailed(api), browser_of(response)
    if purpose is Purpose.SIGN_IN:
        response = await api.request("POST", "/login/code", json={"identifier": "lak"}, headers=headers)
        target = Target("/login/code/confirm", {"challenge": (await response.json())["challenge"]}, "token", {})
        return target, await mailed(api), browser_of(response)
    body = {"email": "other@example.com"}
    response = await api.request("POST", "/me/emails", await api.token("lak"), json=body, headers=headers)
    assert response.status == 202
    return Target("/email/confirm", body, "token", {}), (await mails(api))[-1], browser_of(response)


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_of_1000_wrong_codes_10_are_looked_at_and_the_owner_gets_in(
    start_api: StartApi, looked_at: list[str], purpose: Purpose
) -> None:
    """At once and one by one, with a restart in between, which no count forgets."""
    api = await start_api(**BEHIND_A_PROXY)
    target, mail, browser = await asked(api, purpose)
    assert set(await target.guess(api, GUESSES // 2, at_once=True)) <= {400, 503}
    await api.client.close()
    await api.services.repositories.close()
    again = await start_api(**BEHIND_A_PROXY)
    assert set(await target.guess(again, GUESSES // 2, at_once=False)) == {400}
    assert len(looked_at) == CODES
    await again.problem(await target.send_code(again, mail.code, "192.0.2.1"), 400, "code_invalid")
    # Nobody is kept from anything else: neither from signing in, nor who has the mail from what it is for.
    assert await again.token("lak")
    assert (await target.send_link(again, mail, browser)).status in {200, 204}


async def test_of_1000_wrong_codes_for_an_account_as_many_are_looked_at_as_its_mails_allow(
    start_api: StartApi, looked_at: list[str]
) -> None:
    """Each request makes a challenge, but only so many mails an hour: the others are of nobody's code."""
    api = await start_api(**BEHIND_A_PROXY)
    target, mail, browser = await asked(api, Purpose.SIGN_IN)
    per_hour = api.services.settings.limits.account_mails_per_hour
    for number in range(GUESSES // CODES):
        address = ADDRESSES[number % len(ADDRESSES)]
        challenge = await ask_code(api, "lak", headers={"X-Forwarded-For": address})
        await api.services.recovery.resolve()
        guessed = Target(target.path, {"challenge": challenge}, "token", {})
        assert set(await guessed.guess(api, CODES, at_once=False)) == {400}
    # The first mail was the owner's. It is one of the newest that are good.
    assert len(looked_at) == CODES * (per_hour - 1)
    assert len(await mails(api)) == per_hour
    assert (await api.log_in("lak", PASSWORD))["token"]
    assert (await target.send_link(api, mail, browser)).status == 200
