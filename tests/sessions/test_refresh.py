"""POST /refresh: rotation, safe retry, theft (docs/sessions.md; RFC 9700 section 4.14.2)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from server.settings.tree import SessionSettings
from tests.claims import claims_of
from tests.running import Api, StartApi
from tests.sessions.refreshing import is_alive, refresh, refused
from tests.volume import volume

WINDOW = 30


async def test_a_refresh_gives_new_tokens_of_the_same_session(api: Api) -> None:
    first = await api.log_in("lak")
    api.clock.advance(100)
    second = await refresh(api, first["refresh_token"])
    assert set(second) == set(first)
    assert second["refresh_token"] != first["refresh_token"]
    before, after = claims_of(first["token"]), claims_of(second["token"])
    assert (after["sid"], after["sub"]) == (before["sid"], before["sub"])
    assert after["jti"] != before["jti"]
    assert after["exp"] == before["exp"] + 100
    assert second["refresh_expires_in"] == first["refresh_expires_in"]
    # The old access token is as good as it was.
    assert await is_alive(api, first["token"])


async def test_50_simultaneous_uses_200_rounds(api: Api) -> None:
    """Every answer carries the same successor, exactly one step is taken, nobody is logged out."""
    token = (await api.log_in("lak"))["refresh_token"]
    rounds = volume(200)
    for _ in range(rounds):
        answers = await asyncio.gather(*(refresh(api, token) for _ in range(50)))
        successors = {answer["refresh_token"] for answer in answers}
        assert len(successors) == 1
        token = successors.pop()
    listed = await (await api.request("GET", "/me/sessions", answers[0]["token"])).json()
    found = await api.services.repositories.sessions.get_session(listed["sessions"][0]["id"])
    assert found is not None
    assert (len(listed["sessions"]), found.session.step) == (1, rounds)


async def test_a_lost_answer_is_told_again_inside_the_window(api: Api) -> None:
    first = await api.log_in("lak")
    lost = await refresh(api, first["refresh_token"])
    api.clock.advance(WINDOW)
    told = await refresh(api, first["refresh_token"])
    assert told["refresh_token"] == lost["refresh_token"]
    # And the chain goes on.
    third = await refresh(api, told["refresh_token"])
    await refresh(api, third["refresh_token"])


async def test_a_token_two_steps_old_ends_the_session(api: Api) -> None:
    first = await api.log_in("lak")
    second = await refresh(api, first["refresh_token"])
    third = await refresh(api, second["refresh_token"])
    await refused(api, first["refresh_token"], "refresh_reused")
    await all_dead(api, first, second, third)


async def test_a_token_one_step_old_after_the_window_ends_the_session(api: Api) -> None:
    first = await api.log_in("lak")
    second = await refresh(api, first["refresh_token"])
    api.clock.advance(WINDOW + 0.001)
    await refused(api, first["refresh_token"], "refresh_reused")
    await all_dead(api, first, second)


async def test_a_token_whose_successor_was_used_ends_the_session_even_in_the_window(api: Api) -> None:
    first = await api.log_in("lak")
    second = await refresh(api, first["refresh_token"])
    api.clock.advance(1)
    third = await refresh(api, second["refresh_token"])
    await refused(api, first["refresh_token"], "refresh_reused")
    await all_dead(api, first, second, third)


async def all_dead(api: Api, *answers: dict[str, Any]) -> None:
    for answer in answers:
        assert not await is_alive(api, answer["token"])
    await refused(api, answers[-1]["refresh_token"], "refresh_invalid")
    # Only this session: the user logs in as before.
    assert await is_alive(api, (await api.log_in("lak"))["token"])


async def test_a_theft_leaves_the_users_other_sessions_alone(api: Api) -> None:
    stolen, other = await api.log_in("lak"), await api.log_in("lak")
    second = await refresh(api, stolen["refresh_token"])
    await refresh(api, second["refresh_token"])
    await refused(api, stolen["refresh_token"], "refresh_reused")
    assert await is_alive(api, other["token"])
    await refresh(api, other["refresh_token"])


async def test_a_retry_window_of_zero_allows_no_retry(start_api: StartApi) -> None:
    api = await start_api(sessions=SessionSettings(retry_window_seconds=0))
    first = await api.log_in("lak")
    await refresh(api, first["refresh_token"])
    api.clock.advance(0.001)
    await refused(api, first["refresh_token"], "refresh_reused")


async def test_a_session_unused_for_its_idle_life_has_expired(start_api: StartApi) -> None:
    api = await start_api(sessions=SessionSettings(idle_ttl_seconds=1000, max_ttl_seconds=2500))
    token = (await api.log_in("lak"))["refresh_token"]
    for _ in range(2):
        api.clock.advance(999)
        token = (await refresh(api, token))["refresh_token"]
    api.clock.advance(502)  # 2,500 s after the login, 502 s after the last use
    await refused(api, token, "refresh_expired")
    idle = (await api.log_in("lak"))["refresh_token"]
    api.clock.advance(1000)
    await refused(api, idle, "refresh_expired")


async def test_what_the_answer_says_of_its_life_is_true_near_the_end(start_api: StartApi) -> None:
    api = await start_api(sessions=SessionSettings(idle_ttl_seconds=1000, max_ttl_seconds=1500))
    first = await api.log_in("lak")
    assert first["refresh_expires_in"] == 1000
    api.clock.advance(900)
    second = await refresh(api, first["refresh_token"])
    assert (second["refresh_expires_in"], second["expires_in"]) == (600, 300)
    api.clock.advance(500)
    last = await refresh(api, second["refresh_token"])
    assert (last["refresh_expires_in"], last["expires_in"]) == (100, 100)
    # The access token does not outlive its session.
    assert claims_of(last["token"])["exp"] == claims_of(first["token"])["iat"] + 1500


async def test_an_ended_session_has_no_refresh(api: Api) -> None:
    answer = await api.log_in("lak")
    assert (await api.request("POST", "/logout", answer["token"])).status == 204
    await refused(api, answer["refresh_token"], "refresh_invalid")


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: token + "A",
        lambda token: token[1:],
        lambda token: token + "=",
        lambda token: token.upper(),
        lambda token: "wwr_" + "A" * 75,
        lambda token: "x",
    ],
)
async def test_a_changed_token_is_invalid_and_harms_nobody(api: Api, change: Any) -> None:
    answer = await api.log_in("lak")
    await refused(api, change(answer["refresh_token"]), "refresh_invalid")
    await refresh(api, answer["refresh_token"])


async def test_an_access_token_is_no_refresh_token_and_the_other_way_round(api: Api) -> None:
    """RFC 8725 section 3.12: one kind of token never passes for another."""
    answer = await api.log_in("lak")
    await refused(api, answer["token"], "refresh_invalid")
    await api.problem(await api.request("GET", "/me", answer["refresh_token"]), 401, "token_invalid")
    sahan = await api.token("sahan")
    user_id = claims_of(answer["token"])["sub"]
    reset = await (await api.request("POST", f"/users/{user_id}/password-reset", sahan)).json()
    await refused(api, reset["reset_token"], "refresh_invalid")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 401, "refresh_invalid"),
        ({"refresh_token": None}, 401, "refresh_invalid"),
        ({"refresh_token": ""}, 422, "invalid_request"),
        ({"refresh_token": 5}, 422, "invalid_request"),
        ({"token": "x"}, 422, "invalid_request"),
        ([], 400, "invalid_json"),
    ],
)
async def test_a_body_that_is_wrong(api: Api, body: Any, status: int, code: str) -> None:
    await api.problem(await api.request("POST", "/refresh", json=body), status, code)


async def test_without_a_body_there_is_no_token(api: Api) -> None:
    await api.problem(await api.request("POST", "/refresh"), 401, "refresh_invalid")


async def test_the_next_refresh_carries_the_new_role_and_name(api: Api) -> None:
    answer = await api.log_in("lak")
    user_id = claims_of(answer["token"])["sub"]
    sahan = await api.token("sahan")
    changed = await api.request("PATCH", f"/users/{user_id}", sahan, json={"role": "admin"})
    assert (changed.status, (await changed.json())["user"]["role"]) == (200, "admin")
    assert not await is_alive(api, answer["token"])
    again = await refresh(api, answer["refresh_token"])
    assert claims_of(again["token"])["role"] == "admin"
    assert (await api.request("GET", "/users", again["token"])).status == 200


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
async def test_a_chain_goes_on_at_another_node(start_api: StartApi) -> None:
    """Nothing about a chain is in the memory of one process."""
    one, two = await start_api(), await start_api()
    answer = await one.log_in("lak")
    second = await refresh(two, answer["refresh_token"])
    assert (await refresh(one, answer["refresh_token"]))["refresh_token"] == second["refresh_token"]
    third = await refresh(one, second["refresh_token"])
    assert await is_alive(two, third["token"])
