"""A clock that was years ahead, or is far behind, and then right: nothing lives until its time, and nothing is lost."""

from __future__ import annotations

import pytest

from tests.clock import START_MS
from tests.running import Api
from tests.sessions.refreshing import refresh, refused

# Its rounds are here: those of the server come at moments of their own, and could delete what a test looks at.
pytestmark = pytest.mark.usefixtures("no_background")
DAY = 86_400
YEARS = 2 * 365 * DAY


async def rounds(api: Api) -> None:
    """What background.py does each minute."""
    await api.services.sessions.repair_future_times()
    await api.services.keys.maintain(steady=True)


async def test_sessions_of_a_clock_that_was_ahead_live_as_long_as_others_once_it_is_right(api: Api) -> None:
    before = await api.log_in("lak")
    api.clock.advance(5 * DAY)
    used_ahead = (await refresh(api, before["refresh_token"]))["refresh_token"]
    api.clock.advance(YEARS)
    unused = await api.log_in("sahan")
    second_ahead = (await refresh(api, (await api.log_in("lak"))["refresh_token"]))["refresh_token"]
    lak = await (await api.request("GET", "/me", await api.token("lak"))).json()
    reset = await api.services.user_passwords.request_reset(lak["user"]["id"])
    api.clock.advance(-YEARS - 5 * DAY)
    await rounds(api)
    # Nobody is logged out by it, and a day of life has the length that it has for others.
    answer = await refresh(api, second_ahead)
    assert answer["refresh_expires_in"] == 14 * DAY
    body = {"reset_token": reset, "new_password": "otters juggle 7 turnips"}
    await api.problem(await api.request("POST", "/password/reset", json=body), 400, "reset_invalid")
    # A retry is told again for as long as ever, and no longer.
    api.clock.advance(31)
    await refused(api, second_ahead, "refresh_reused")
    await rounds(api)
    api.clock.advance(14 * DAY)
    for token in (used_ahead, unused["refresh_token"]):
        await refused(api, token, "refresh_expired")


async def test_by_a_clock_that_is_far_behind_no_session_ends(api: Api) -> None:
    token = (await api.log_in("lak"))["refresh_token"]
    used = (await api.log_in("sahan"))["refresh_token"]
    for seconds in (START_MS / 1000, YEARS):
        api.clock.advance(-seconds)
        await rounds(api)
        used = (await refresh(api, used))["refresh_token"]
        api.clock.advance(seconds)
        await rounds(api)
    for one in (token, used):
        assert (await refresh(api, one))["refresh_expires_in"] == 14 * DAY


async def test_keys_of_a_clock_that_was_ahead_rotate_by_age_once_it_is_right(api: Api) -> None:
    """As after a restart, and without one."""
    keys = api.services.keys
    api.clock.advance(YEARS)
    await keys.rotate(at_once=True)
    await rounds(api)
    api.clock.advance(-YEARS)
    await rounds(api)
    signing = keys.current.signing_key().kid
    answer = await api.log_in("lak")
    api.clock.advance(30 * DAY + 601)
    await rounds(api)
    assert keys.current.signing_key().kid != signing
    assert (await api.request("GET", "/me", (await api.log_in("lak"))["token"])).status == 200
    assert (await api.request("GET", "/me", answer["token"])).status == 401
