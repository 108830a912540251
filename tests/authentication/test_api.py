"""Guessing defence, through the real server."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Callable
from http.cookies import SimpleCookie
from typing import Any

import aiohttp
import pytest

from server.http import connection
from server.passwords.hasher import Hasher
from server.settings.tree import LimitSettings, PasswordSettings, ServerSettings
from tests.running import PASSWORD, Api, StartApi

DEVICE = "__Host-watchword-device"
BEHIND_A_PROXY = ServerSettings(trusted_proxies=("127.0.0.0/8",))
GUESSES = 1000


async def try_password(
    api: Api, password: str, username: str = "lak", cookie: str | None = None, address: str = "192.0.2.1"
) -> aiohttp.ClientResponse:
    headers = {"X-Forwarded-For": address} | ({"Cookie": f"{DEVICE}={cookie}"} if cookie else {})
    return await api.request("POST", "/login", json={"username": username, "password": password}, headers=headers)


async def cookie_of(response: aiohttp.ClientResponse) -> str:
    assert response.status == 200, await response.text()
    (cookie,) = (SimpleCookie(text) for text in response.headers.getall("Set-Cookie") if text.startswith(DEVICE))
    assert (cookie[DEVICE]["secure"], cookie[DEVICE]["httponly"], cookie[DEVICE]["samesite"]) == (True, True, "Strict")
    return cookie[DEVICE].value


async def guess(api: Api, addresses: int, *, at_once: bool, count: int = GUESSES, **options: Any) -> list[int]:
    """The statuses of that many wrong guesses, from as many addresses, in turn."""
    sources = itertools.cycle(f"198.51.{number // 250}.{number % 250 + 1}" for number in range(addresses))

    async def one(number: int, address: str) -> int:
        response = await try_password(api, f"wrong guess {number}", address=address, **options)
        assert ("Retry-After" in response.headers) is (response.status in {429, 503})
        return response.status

    guesses = [(number, next(sources)) for number in range(count)]
    if at_once:
        return list(await asyncio.gather(*(one(*each) for each in guesses)))
    statuses = []
    for each in guesses:
        statuses.append(await one(*each))
        # As patient as a guesser can be.
        api.clock.advance(900)
    return statuses


@pytest.mark.parametrize("addresses", [1, 200])
async def test_of_1000_wrong_guesses_at_most_100_are_looked_at_and_the_owner_logs_in(
    start_api: StartApi, addresses: int
) -> None:
    """At once and one by one, with a restart in between, which no counter forgets."""
    passwords = PasswordSettings(bcrypt_cost=4, hash_queue=2000, hash_wait_seconds=50)
    api = await start_api(server=BEHIND_A_PROXY, passwords=passwords)
    cookie = await cookie_of(await try_password(api, PASSWORD))
    before = await guess(api, addresses, at_once=True, count=GUESSES // 2)
    await api.client.close()
    await api.services.repositories.close()
    again = await start_api(server=BEHIND_A_PROXY, passwords=passwords)
    again.clock.advance(3600)
    after = await guess(again, addresses, at_once=False, count=GUESSES // 2)
    assert set(before) | set(after) <= {400, 429, 503}
    assert (before.count(400), [*before, *after].count(400)) == (20, 70)
    # A stranger is held up, who knows the password or not; the owner's device is not.
    assert (await try_password(again, PASSWORD)).status == 429
    new_cookie = await cookie_of(await try_password(again, PASSWORD, cookie=cookie))
    # And with that success the others may try again.
    assert (await try_password(again, PASSWORD)).status == 200
    assert new_cookie.startswith("wwd_")


@pytest.mark.parametrize("address", ["fin@example.com", "nobody@example.com"])
async def test_another_spelling_does_not_tell_whether_an_address_is_somebodys(
    start_api: StartApi, address: str
) -> None:
    api = await start_api(server=BEHIND_A_PROXY)
    await api.services.users.create("fin", "Fin", "customer", PASSWORD, "fin@example.com")
    spellings = [address, address.upper(), address.replace("n", "\U0001d427", 1)]
    for spelling in spellings * 7:
        await try_password(api, "wrong", username=spelling)
    assert [(await try_password(api, "wrong", username=spelling)).status for spelling in spellings] == [429] * 3


@pytest.mark.parametrize("username", ["lak", "nobody"])
async def test_wrong_passwords_at_the_same_moment_skip_no_wait(start_api: StartApi, username: str) -> None:
    """One by one, 20 are looked at without a wait, then one after 1 s, one after 2 s more, and so on."""
    api = await start_api(
        server=BEHIND_A_PROXY, passwords=PasswordSettings(bcrypt_cost=4, hash_queue=200, hash_wait_seconds=50)
    )
    looked_at = []
    for wait in (0, 0, 1, 1, 1, 4):
        api.clock.advance(wait)
        statuses = await guess(api, 40, at_once=True, count=40, username=username)
        assert set(statuses) <= {400, 429, 503}
        looked_at.append(statuses.count(400))
    assert looked_at == [20, 0, 1, 0, 1, 1]


async def test_wrong_passwords_at_the_same_moment_get_no_more_by_a_known_device_or_a_change(
    start_api: StartApi,
) -> None:
    api = await start_api(
        server=BEHIND_A_PROXY, passwords=PasswordSettings(bcrypt_cost=4, hash_queue=200, hash_wait_seconds=50)
    )
    cookies = [await cookie_of(await try_password(api, PASSWORD)) for _ in range(3)]
    token = await api.token("lak")
    change = {"current_password": "wrong", "new_password": "a new password, long enough"}

    async def changed() -> int:
        return (await api.request("POST", "/me/password", token, json=change)).status

    assert (await asyncio.gather(*(changed() for _ in range(40)))).count(400) == 10
    assert await changed() == 429
    looked_at = []
    for cookie in cookies * 2:
        statuses = await guess(api, 1, at_once=True, count=40, cookie=cookie)
        looked_at.append(statuses.count(400))
        assert set(statuses) <= {400, 429, 503}
    # 20 of all devices together, and then 20 as strangers.
    assert looked_at[0] in range(10, 31)
    assert sum(looked_at) == 40


async def test_right_passwords_at_the_same_moment_never_wait_long(start_api: StartApi) -> None:
    """Nobody sent a wrong one: all get in, or are told to come again at once. Nor does a full queue of hashes count."""
    api = await start_api(
        server=BEHIND_A_PROXY,
        passwords=PasswordSettings(bcrypt_cost=4, hash_queue=3),
        limits=LimitSettings(address_guesses_per_hour=25, all_guesses_per_hour=25),
    )
    change = {"current_password": PASSWORD, "new_password": "short"}
    cookie = await cookie_of(await try_password(api, PASSWORD))
    token = await api.token("lak")

    async def change_password() -> aiohttp.ClientResponse:
        return await api.request("POST", "/me/password", token, json=change)

    ways: list[tuple[int, Callable[[], Awaitable[aiohttp.ClientResponse]]]] = [
        (200, lambda: try_password(api, PASSWORD)),
        (200, lambda: try_password(api, PASSWORD, cookie=cookie)),
        # It was looked at, and the current one is right.
        (422, change_password),
    ]
    for right, way in ways:
        answers = await asyncio.gather(*(way() for _ in range(100)))
        assert {answer.status for answer in answers} == {right, 503}
        assert {answer.headers["Retry-After"] for answer in answers if answer.status == 503} == {"1"}
    # Nothing is left of them: all that may be wrong at once still may.
    statuses = [(await try_password(api, "wrong", address=f"192.0.2.{number}")).status for number in range(30)]
    assert statuses == [400] * 20 + [429] * 10


async def test_reset_tokens_at_the_same_moment_are_budgeted_as_one_by_one(start_api: StartApi) -> None:
    api = await start_api(limits=LimitSettings(address_guesses_per_hour=5))
    admin = await api.token("sahan")
    lak = (await (await api.request("GET", "/users?q=lak", admin)).json())["users"][0]["id"]
    made = await (await api.request("POST", f"/users/{lak}/password-reset", admin)).json()

    async def reset_at_once(token: str) -> list[int]:
        body = {"reset_token": token, "new_password": "short"}
        answers = (api.request("POST", "/password/reset", json=body) for _ in range(40))
        return sorted({answer.status for answer in await asyncio.gather(*answers)})

    assert await reset_at_once(made["reset_token"]) in ([422], [422, 503])
    wrong = [await reset_at_once("wwp_wrong") for _ in range(2)]
    assert (wrong[0][0], wrong[1]) == (400, [429])


async def test_who_leaves_while_a_password_is_looked_at_has_tried_it(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who only closes his side would be answered for so long.
    monkeypatch.setattr(connection, "HALF_CLOSED_SECONDS", 0.01)
    api = await start_api(passwords=PasswordSettings(bcrypt_cost=4, hash_threads=1))
    begun, go_on = asyncio.Event(), threading.Semaphore(0)
    loop, verify = asyncio.get_running_loop(), Hasher.verify

    def verify_when_told(hasher: Hasher, password: str, password_hash: str | None) -> bool:
        loop.call_soon_threadsafe(begun.set)
        go_on.acquire(timeout=30)
        return verify(hasher, password, password_hash)

    monkeypatch.setattr(Hasher, "verify", verify_when_told)
    async with asyncio.timeout(20):
        for number in range(20):
            begun.clear()
            leaving = asyncio.create_task(try_password(api, PASSWORD))
            await begun.wait()
            leaving.cancel()
            while len(await api.services.audit.page(limit=100, event="login_failed")) <= number:  # noqa: ASYNC110
                await asyncio.sleep(0)
            go_on.release()
    assert (await try_password(api, PASSWORD)).status == 429
    api.clock.advance(1)
    go_on.release()
    assert (await try_password(api, PASSWORD)).status == 200


async def test_a_known_device_has_attempts_of_its_own_and_not_for_ever(start_api: StartApi) -> None:
    api = await start_api(server=BEHIND_A_PROXY)
    cookie = await cookie_of(await try_password(api, PASSWORD))
    strangers = await guess(api, 200, at_once=False, count=100)
    devices = [await guess(api, 1, at_once=False, count=30, cookie=cookie)]
    assert [strangers.count(400), devices[0].count(400)] == [70, 10]
    # The cookie of another user is none.
    api.clock.advance(3600)
    other = await cookie_of(await try_password(api, PASSWORD, "sahan"))
    assert (await try_password(api, PASSWORD, cookie=other)).status == 429


async def test_what_was_guessed_before_an_account_existed_does_not_shut_it(start_api: StartApi) -> None:
    api = await start_api(server=BEHIND_A_PROXY)
    for _ in range(70):
        await try_password(api, "wrong", "newhire")
        api.clock.advance(900_000)
    assert (await try_password(api, "wrong", "newhire")).status == 429
    await api.services.users.create("newhire", "New", "customer", PASSWORD)
    assert (await try_password(api, PASSWORD, "newhire")).status == 200


async def test_accounts_that_do_not_exist_are_refused_in_the_same_way(start_api: StartApi) -> None:
    api = await start_api(server=BEHIND_A_PROXY)
    answers: dict[str, list[tuple[int, str | None, dict[str, Any]]]] = {}
    for username in ("lak", "nobody", "LAK2", "no name\n", "é"):
        for _ in range(80):
            response = await try_password(api, "wrong", username, address=f"192.0.2.{len(answers) + 1}")
            body = await response.json(content_type=None)
            del body["request_id"]
            answers.setdefault(username, []).append((response.status, response.headers.get("Retry-After"), body))
            api.clock.advance(100)
        api.clock.advance(7200)
    assert all(found == answers["lak"] for found in answers.values())
    assert [status for status, _, _ in answers["lak"]].count(429) > 0


async def test_one_address_guesses_at_many_accounts_for_a_while_only(start_api: StartApi) -> None:
    api = await start_api(server=BEHIND_A_PROXY, limits=LimitSettings(address_guesses_per_hour=20))

    async def statuses(address: str, count: int) -> list[int]:
        return [(await try_password(api, "wrong", f"user{number}", address=address)).status for number in range(count)]

    assert await statuses("203.0.113.1", 25) == [400] * 20 + [429] * 5
    assert await statuses("203.0.113.2", 1) == [400]
    # All of one /64 are one.
    assert (await statuses("2001:db8::1", 20)).count(400) == 20
    assert await statuses("2001:db8::2", 1) == [429]
    api.clock.advance(180)
    assert await statuses("203.0.113.1", 2) == [400, 429]


async def test_right_passwords_use_nothing_up(start_api: StartApi) -> None:
    api = await start_api(
        server=BEHIND_A_PROXY,
        limits=LimitSettings(account_guesses=10, address_guesses_per_hour=2, all_guesses_per_hour=2),
        passwords=PasswordSettings(bcrypt_cost=4, hash_queue=200, hash_wait_seconds=50),
    )
    for _ in range(30):
        assert (await try_password(api, PASSWORD)).status == 200


async def test_all_together_guess_at_most_so_often(start_api: StartApi) -> None:
    api = await start_api(server=BEHIND_A_PROXY, limits=LimitSettings(all_guesses_per_hour=30))
    cookie = await cookie_of(await try_password(api, PASSWORD))
    statuses = [(await try_password(api, "x", f"u{n}", address=f"192.0.2.{n}")).status for n in range(40)]
    assert statuses == [400] * 30 + [429] * 10
    assert (await try_password(api, PASSWORD, cookie=cookie)).status == 200


async def test_the_current_password_is_not_guessed_through_a_change_of_it(api: Api) -> None:
    token = await api.token("lak")
    body = {"current_password": "wrong", "new_password": "a new password, long enough"}
    statuses = []
    for _ in range(40):
        statuses.append((await api.request("POST", "/me/password", token, json=body)).status)
        api.clock.advance(1)
    assert (statuses.count(400), statuses[-1]) == (10, 429)
    # Nor does that hold up a login, which forgets it.
    token = await api.token("lak")
    right = body | {"current_password": PASSWORD}
    assert (await api.request("POST", "/me/password", token, json=right)).status == 204


async def test_reset_tokens_are_not_guessed_for_ever_and_a_reset_begins_anew(start_api: StartApi) -> None:
    api = await start_api(server=BEHIND_A_PROXY, limits=LimitSettings(address_guesses_per_hour=5))
    wrong = {"reset_token": "wwp_wrong", "new_password": "a new password, long enough"}

    async def reset(body: dict[str, str], address: str) -> int:
        headers = {"X-Forwarded-For": address}
        return (await api.request("POST", "/password/reset", json=body, headers=headers)).status

    assert [await reset(wrong, "192.0.2.9") for _ in range(7)] == [400] * 5 + [429] * 2
    await guess(api, 200, at_once=False, count=80)
    assert (await try_password(api, PASSWORD, address="192.0.2.77")).status == 429
    admin = await api.token("sahan")
    lak = (await (await api.request("GET", "/users?q=lak", admin)).json())["users"][0]["id"]
    made = await (await api.request("POST", f"/users/{lak}/password-reset", admin)).json()
    new = "a new password, long enough"
    assert await reset({"reset_token": made["reset_token"], "new_password": new}, "192.0.2.10") == 204
    assert (await try_password(api, new, address="192.0.2.77")).status == 200
