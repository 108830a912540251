"""A clock that is set while the server runs, and times beyond those that 32 bits hold, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from server.authentication.throttling import FREE_FAILURES
from server.background import purge
from server.core.clock import Steadiness
from server.settings.tree import LimitSettings, RegistrationSettings, SessionSettings
from tests.emails.mailed import OPEN, mails
from tests.running import PASSWORD, Api, StartApi
from tests.sessions.refreshing import refresh, refused
from tests.volume import IS_FULL

HOUR, DAY = 3600, 86_400
YEARS = 2 * 365 * DAY
STEPS = (HOUR, -HOUR, DAY, -DAY, YEARS, -YEARS) if IS_FULL else (-HOUR, YEARS)
# The last second of 31 bits, and of 32, in epoch milliseconds.
ERAS = {"2038": (2**31 - 1) * 1000, "2106": (2**32 - 1) * 1000}
# The longest wait after a wrong password, and how far the clocks of nodes may differ, in seconds.
LONGEST, SLACK = 900, 60
GUESSES = 20
WRONG = "wrong otters juggle turnips"
COUNTED = ("sessions", "revocations", "challenges", "invitations", "guesses", "known_clients", "mails", "server_keys")


class Background:
    """What background.py does each minute, by the clock of the test."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._steadiness = Steadiness(api.clock, api.services.settings.tokens.access_ttl_seconds)

    async def minutes(self, count: int) -> None:
        for _ in range(count):
            self._api.clock.advance(60)
            steady = self._steadiness.holds()
            await self._api.services.keys.maintain(steady=steady)
            if steady:
                await self._api.services.sessions.repair_future_times()
                await purge(self._api.services.repositories, self._api.clock)


@contextmanager
def clock_set(api: Api, seconds: float) -> Iterator[None]:
    """For a while, until somebody sets it right."""
    api.clock.set_wall(seconds)
    yield
    api.clock.set_wall(-seconds)


async def count_rows(api: Api) -> dict[str, int]:
    driver = api.services.repositories.driver
    return {table: (await driver.read(f"SELECT count(*) AS n FROM {table}"))[0]["n"] for table in COUNTED}  # noqa: S608


async def fail(api: Api, username: str, times: int = 1) -> int:
    """Wrong passwords; the Retry-After of the last answer, 0 if it has none."""
    wait = 0
    for _ in range(times):
        response = await api.request("POST", "/login", json={"username": username, "password": WRONG})
        assert response.status in {400, 429}, await response.text()
        wait = int(response.headers.get("Retry-After", 0))
    return wait


async def wait_long(api: Api, username: str) -> int:
    """Fail until the wait is one of the longest, and return it. Shorter ones are waited for."""
    for _ in range(FREE_FAILURES + 20):
        if (wait := await fail(api, username)) > LONGEST / 2:
            return wait
        assert wait <= LONGEST
        api.clock.advance(wait)
    raise AssertionError("no wait becomes long")


async def pages(api: Api, token: str, path: str, name: str) -> list[dict[str, Any]]:
    """All of a list, in small pages."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        body = await (await api.request("GET", f"{path}?limit=2{cursor}", token)).json()
        found += body[name]
        if not body.get("next_cursor"):
            return found
        cursor = f"&cursor={body['next_cursor']}"


@pytest.mark.parametrize("era", ERAS)
async def test_decisions_are_exact_to_the_second_beyond_32_bits(start_api: StartApi, era: str) -> None:
    """Each end lies a second behind the last moment that 32 bits hold, so before and after differ in their size."""
    api = await start_api(sessions=SessionSettings(idle_ttl_seconds=600, max_ttl_seconds=900))
    at_ms = ERAS[era] - 299_000

    def at(seconds: float) -> None:
        api.clock.go_on_to(at_ms + round(seconds * 1000))

    at(0)
    background = Background(api)
    await background.minutes(0)
    answer = await api.log_in("lak")
    assert (await api.request("GET", "/me", answer["token"])).status == 200
    # The access token.
    at(299.999)
    assert (await api.request("GET", "/me", answer["token"])).status == 200
    at(300)
    await api.problem(await api.request("GET", "/me", answer["token"]), 401, "token_expired")
    # The window of a retry.
    stepped = await refresh(api, answer["refresh_token"])
    at(330)
    assert (await refresh(api, answer["refresh_token"]))["refresh_token"] == stepped["refresh_token"]
    # A session that is not used.
    unused = await api.log_in("lak")
    at(929.999)
    assert (await refresh(api, unused["refresh_token"]))["refresh_expires_in"] == 300
    # The age of a session, however it is used.
    unused = await api.log_in("lak")
    at(1529.998)
    renewed = await refresh(api, unused["refresh_token"])
    assert renewed["refresh_expires_in"] == 300
    at(1829.998)
    assert (await refresh(api, renewed["refresh_token"]))["refresh_expires_in"] == 0
    at(1829.999)
    await refused(api, renewed["refresh_token"], "refresh_expired")
    # A wait after wrong passwords.
    assert await fail(api, "lak", FREE_FAILURES) == 0
    wait = await fail(api, "lak")
    assert wait == 1
    at(1829.999 + wait - 0.001)
    assert await fail(api, "lak") == 1
    at(1829.999 + wait)
    assert (await api.log_in("lak"))["token"]
    verdict = await api.services.audit.verify()
    assert verdict.fault is None


async def test_a_window_that_is_over_stays_so(api: Api) -> None:
    """Also for a token that was used before the clock was set back: it is no retry for an hour."""
    for step in STEPS:
        answer = await api.log_in("lak")
        await refresh(api, answer["refresh_token"])
        api.clock.advance(31)
        api.clock.set_wall(step)
        code = "refresh_expired" if step == YEARS else "refresh_reused"
        await refused(api, answer["refresh_token"], code)
        api.clock.set_wall(-step)


@pytest.mark.parametrize("step", STEPS)
async def test_a_clock_that_is_wrong_for_a_while_ends_and_loses_nothing(start_api: StartApi, step: int) -> None:
    """Sessions, keys and tokens are as before once it is right again, and meanwhile people can log in."""
    api = await start_api(registration=RegistrationSettings(mode="invitation"))
    background = Background(api)
    await background.minutes(11)
    before = await api.log_in("lak")
    admin = await api.token("sahan")
    invited = await api.request("POST", "/invitations", admin, json={"uses": 1})
    assert invited.status == 201, await invited.text()
    keys = await (await api.request("GET", "/.well-known/jwks.json")).json()
    rows = await count_rows(api)
    with clock_set(api, step):
        await background.minutes(4)
        meanwhile = await api.log_in("lak")
        assert (await api.request("GET", "/me", meanwhile["token"])).status == 200
        assert (await refresh(api, meanwhile["refresh_token"]))["token"]
        # What of the server's own keys others have fetched is still good, or they find the one that signs.
        assert (await (await api.request("GET", "/.well-known/jwks.json")).json())["keys"]
    after = await count_rows(api)
    assert {table for table in rows if after[table] < rows[table]} == set()
    found = await (await api.request("GET", "/.well-known/jwks.json")).json()
    assert {key["kid"] for key in keys["keys"]} <= {key["kid"] for key in found["keys"]}
    # It is four minutes later, so the token from before has not expired.
    assert (await api.request("GET", "/me", before["token"])).status == 200
    assert (await refresh(api, before["refresh_token"]))["token"]
    # And the key that signs is followed by another one as ever.
    signing = api.services.keys.current.signing_key().kid
    api.clock.advance(30 * DAY + 601)
    await background.minutes(12)
    assert api.services.keys.current.signing_key().kid != signing
    assert (await api.request("GET", "/me", await api.token("lak"))).status == 200


@pytest.mark.parametrize("step", STEPS)
async def test_no_throttle_opens_or_shuts_for_long(start_api: StartApi, step: int) -> None:
    api = await start_api(limits=LimitSettings(address_guesses_per_hour=1_000_000))
    await wait_long(api, "lak")
    with clock_set(api, step):
        # One more is looked at, if the wait counts as over, and the next wait is as long as ever.
        assert await wait_long(api, "lak") <= LONGEST + SLACK
        api.clock.advance(LONGEST + SLACK)
        assert (await api.log_in("lak"))["token"]
        await wait_long(api, "sahan")
    # Nobody waits for a time that was never.
    assert await wait_long(api, "sahan") <= LONGEST + SLACK
    api.clock.advance(LONGEST + SLACK)
    assert (await api.log_in("sahan"))["token"]


@pytest.mark.parametrize("step", STEPS)
async def test_what_refills_is_at_worst_full_or_empty_after_a_step(start_api: StartApi, step: int) -> None:
    """A client gets no more than another hour's guesses at once, and never waits for longer than for the next one."""
    api = await start_api(limits=LimitSettings(address_guesses_per_hour=GUESSES))
    each = HOUR // GUESSES
    for _ in range(2):
        looked_at = 0
        while not (wait := await fail(api, f"nobody{looked_at}")):
            looked_at += 1
        assert looked_at <= GUESSES
        assert wait <= each + SLACK
        api.clock.set_wall(step)
        step = -step


@pytest.mark.parametrize("step", STEPS)
async def test_lists_and_the_audit_log_are_whole_whatever_the_clock_says(api: Api, step: int) -> None:
    """Cursors leave nothing out and show nothing twice, and the log has its order from the chain."""
    made = {"sahan", "lak"}
    for moment in ("before", "after"):
        for number in range(3):
            api.clock.advance(1)
            made.add(f"{moment}{number}")
            await api.services.users.create(f"{moment}{number}", "x", "customer", PASSWORD)
            await api.log_in("lak")
        if moment == "before":
            api.clock.set_wall(step)
    token = await api.token("sahan")
    users = await pages(api, token, "/users", "users")
    assert (len(users), {user["username"] for user in users}) == (8, made)
    # In the order of their creation, as the clock has told it.
    assert [user["created_at"] for user in users] == sorted(user["created_at"] for user in users)
    lak = await api.token("lak")
    sessions = [session["id"] for session in await pages(api, lak, "/me/sessions", "sessions")]
    living = 4 if step == YEARS else 7
    assert len(sessions) == len(set(sessions)) == living
    records = await pages(api, token, "/audit", "events")
    assert [record["seq"] for record in records] == list(range(len(records), 0, -1))
    assert (await api.services.audit.verify()).fault is None


@pytest.mark.parametrize("behind", [-YEARS, -40 * 365 * DAY, YEARS])
async def test_a_first_start_by_a_wrong_clock(start_api: StartApi, behind: int) -> None:
    """As of a machine without a battery, or one that is set up anew, until NTP has set it."""
    api = await start_api()
    # The keys and accounts of that time.
    await api.services.repositories.driver.write_one("DELETE FROM server_keys WHERE algorithm <> 'HKDF' RETURNING kid")
    api.clock.set_wall(behind)
    await api.services.keys.load(serving=True)
    background = Background(api)
    await background.minutes(2)
    answer = await api.log_in("lak")
    assert (await api.request("GET", "/me", answer["token"])).status == 200
    api.clock.set_wall(-behind)
    await background.minutes(2)
    again = await api.log_in("lak")
    assert (await api.request("GET", "/me", again["token"])).status == 200
    await background.minutes(12)
    renewed = await refresh(api, again["refresh_token"])
    assert (await api.request("GET", "/me", renewed["token"])).status == 200
    signing = api.services.keys.current.signing_key().kid
    api.clock.advance(31 * DAY)
    await background.minutes(12)
    assert api.services.keys.current.signing_key().kid != signing
    # Of the session that was opened by the wrong clock nothing is left for ever.
    api.clock.advance(91 * DAY)
    await background.minutes(1)
    assert (await count_rows(api))["sessions"] == 0


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
async def test_nodes_whose_clocks_differ_as_much_as_they_may(start_api: StartApi) -> None:
    """7.5 seconds, as docs/postgresql.md says: whatever one does the other one takes."""
    first, second = await start_api(), await start_api()
    second.clock.set_wall(-7.5)
    nodes = (first, second)
    for here, there in (nodes, nodes[::-1]):
        answer = await here.log_in("lak")
        assert (await there.request("GET", "/me", answer["token"])).status == 200
        stepped = await refresh(there, answer["refresh_token"])
        # A retry at the other node.
        assert (await refresh(here, answer["refresh_token"]))["refresh_token"] == stepped["refresh_token"]
        assert (await here.request("POST", "/logout", stepped["token"])).status == 204
        await there.services.revocations.refresh()
        await there.problem(await there.request("GET", "/me", answer["token"]), 401, "token_revoked")
        await fail(here, "lak", FREE_FAILURES)
        assert await fail(there, "lak") <= 10
        for node in nodes:
            node.clock.advance(60)
        for node in nodes:
            assert (await node.log_in("lak"))["token"]


async def test_what_a_clock_that_was_ahead_has_begun_does_not_stay_for_years(start_api: StartApi) -> None:
    """A mailed link is not good when it is that time, and who never confirms an address does not keep a name."""
    api = await start_api(**OPEN)
    background = Background(api)
    with clock_set(api, YEARS):
        body = {"username": "nuwan", "name": "Nuwan", "password": PASSWORD, "email": "nuwan@example.com"}
        assert (await api.request("POST", "/sign-up", json=body)).status == 201
        (mail,) = await mails(api)
    await background.minutes(15)
    assert (await count_rows(api))["challenges"] == 0
    token = await api.token("sahan")
    assert "nuwan" in {user["username"] for user in await pages(api, token, "/users", "users")}
    api.clock.advance(7 * DAY)
    await background.minutes(1)
    token = await api.token("sahan")
    assert "nuwan" not in {user["username"] for user in await pages(api, token, "/users", "users")}
    api.clock.advance(YEARS - 7 * DAY)
    await api.problem(
        await api.request("POST", "/email/confirm", json={"token": mail.token}), 400, "confirmation_invalid"
    )
