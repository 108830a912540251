"""POST /reauthenticate: the same session with a recent sign-in, and what may come between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from server.audit.model import AuditEvent
from server.sessions.errors import TokenRevoked
from server.sessions.issuing import IssuedTokens
from server.sessions.model import PAGE
from server.settings.tree import LimitSettings
from tests.claims import claims_of
from tests.running import PASSWORD, Api, StartApi
from tests.sessions.refreshing import is_alive, refresh, refused, signed_in_long_ago

NEW_PASSWORD = "another horse, another battery"
CHALLENGE = 'Bearer error="insufficient_user_authentication", max_age=600'


async def reauthenticate(api: Api, token: str, password: str = PASSWORD) -> dict[str, Any]:
    response = await api.request("POST", "/reauthenticate", token, json={"password": password})
    assert response.status == 200, await response.text()
    answer: dict[str, Any] = await response.json()
    return answer


async def reset_status(api: Api, token: str) -> int:
    """Of a request that asks for a recent sign-in."""
    user_id = claims_of(token)["sub"]
    response = await api.request("POST", f"/users/{user_id}/password-reset", token)
    if response.status == 401:
        problem = await api.problem(response, 401, "reauthentication_required")
        assert "POST /reauthenticate" in problem["detail"]
        assert response.headers.getall("WWW-Authenticate") == [CHALLENGE]
    return response.status


async def test_the_password_makes_the_sign_in_of_the_same_session_recent(api: Api) -> None:
    old = await signed_in_long_ago(api, "sahan")
    before = claims_of(old["token"])
    assert (before["iat"] - before["auth_time"], before["amr"]) == (601, ["pwd"])
    assert await reset_status(api, old["token"]) == 401
    answer = await reauthenticate(api, old["token"])
    assert {**answer, "token": ""} == {"token": "", "token_type": "Bearer", "expires_in": 300}
    after = claims_of(answer["token"])
    assert (after["auth_time"], after["amr"], after["sid"]) == (after["iat"], ["pwd"], before["sid"])
    assert after["jti"] != before["jti"]
    # The refresh token goes on, and the token from before is as good.
    renewed = await refresh(api, old["refresh_token"])
    assert claims_of(renewed["token"])["auth_time"] == after["auth_time"]
    for token in (answer["token"], old["token"], renewed["token"]):
        assert await reset_status(api, token) == 200
    (session,) = (await (await api.request("GET", "/me/sessions", old["token"])).json())["sessions"]
    assert (session["auth_time"], session["amr"]) == ("2026-09-21T14:13:21.000Z", ["pwd"])
    assert session["created_at"] == "2026-09-21T14:03:20.000Z"
    # It lasts no longer than that of a login.
    api.clock.advance(600)
    last = await refresh(api, renewed["refresh_token"])
    assert await reset_status(api, last["token"]) == 200
    api.clock.advance(0.001)
    assert await reset_status(api, last["token"]) == 401


async def test_a_wrong_password_renews_nothing_and_both_are_in_the_audit_log(api: Api) -> None:
    old = await signed_in_long_ago(api, "sahan")
    body = {"password": "wrong"}
    problem = await api.problem(
        await api.request("POST", "/reauthenticate", old["token"], json=body), 400, "invalid_credentials"
    )
    assert problem["detail"] == "The current password is wrong."
    assert await reset_status(api, old["token"]) == 401
    await reauthenticate(api, old["token"])
    events = (await (await api.request("GET", "/audit?limit=2", old["token"])).json())["events"]
    claims = claims_of(old["token"])
    for event, name, after in zip(
        events, ("reauthenticated", "reauthentication_failed"), ({"session_id": claims["sid"]}, None), strict=True
    ):
        assert (event["event"], event["after"], event["before"]) == (name, after, None)
        assert (event["actor_id"], event["target_id"], event["target_name"]) == (claims["sub"], claims["sub"], "sahan")


async def test_the_password_is_guessed_no_more_often_than_by_a_change_of_it_and_by_both_together(
    start_api: StartApi,
) -> None:
    """NIST SP 800-63B-4 section 3.2.2."""
    api = await start_api(limits=LimitSettings(account_guesses=60))
    token = await api.token("lak")
    ways: list[tuple[str, dict[str, str]]] = [
        ("/reauthenticate", {"password": "wrong"}),
        ("/me/password", {"current_password": "wrong", "new_password": NEW_PASSWORD}),
    ]

    async def guess(path: str, body: dict[str, str]) -> int:
        return (await api.request("POST", path, token, json=body)).status

    statuses = await asyncio.gather(*(guess(*ways[number % 2]) for number in range(20)))
    assert statuses.count(400) == 6
    for path, body in ways:
        await api.problem(await api.request("POST", path, token, json=body), 429, "too_many_attempts")
    # Nor is the right one looked at any more. A login forgets it.
    right = await api.request("POST", "/reauthenticate", token, json={"password": PASSWORD})
    await api.problem(right, 429, "too_many_attempts")
    await reauthenticate(api, await api.token("lak"))


async def _disabled(api: Api, user_id: str, session_id: str) -> None:
    await api.services.users.update(user_id, disabled=True)


async def _enabled_again(api: Api, user_id: str, session_id: str) -> None:
    await api.services.users.update(user_id, disabled=True)
    await api.services.users.update(user_id, disabled=False)


async def _deleted(api: Api, user_id: str, session_id: str) -> None:
    await api.services.users.delete(user_id)


async def _logged_out(api: Api, user_id: str, session_id: str) -> None:
    await api.services.sessions.log_out(session_id)


async def _changed_here(api: Api, user_id: str, session_id: str) -> None:
    """The session goes on, but the password that was looked at is none any more."""
    await api.services.user_passwords.change(user_id, session_id, PASSWORD, NEW_PASSWORD)


async def _changed_elsewhere(api: Api, user_id: str, session_id: str) -> None:
    await api.services.user_passwords.change(user_id, None, PASSWORD, NEW_PASSWORD)


async def _expired(api: Api, user_id: str, session_id: str) -> None:
    """Unused for too long, which an access token does not show."""
    api.clock.advance(api.services.settings.sessions.idle_ttl_seconds)


BETWEEN: list[Callable[[Api, str, str], Awaitable[None]]] = [
    _disabled, _enabled_again, _deleted, _logged_out, _changed_here, _changed_elsewhere, _expired
]  # fmt: skip


@pytest.mark.parametrize("between", BETWEEN)
async def test_what_comes_between_the_check_and_the_renewal_wins(
    api: Api, between: Callable[[Api, str, str], Awaitable[None]]
) -> None:
    """No session comes back by it, and none becomes recent by a password that has gone."""
    claims = claims_of((await signed_in_long_ago(api, "lak"))["token"])
    failed = AuditEvent.REAUTHENTICATION_FAILED
    proved = await api.services.authentication.reauthenticate(claims["sub"], PASSWORD, failed)
    await between(api, claims["sub"], claims["sid"])
    head = await api.services.audit.head()
    with pytest.raises(TokenRevoked):
        await api.services.sessions.renew(claims["sid"], proved)
    found = await api.services.repositories.sessions.get_session(claims["sid"])
    assert found is None or found.session.authenticated_at == claims["auth_time"] * 1000
    assert await api.services.audit.head() == head


async def test_at_the_same_moment_as_the_end_of_all_sessions_no_token_lives_on(api: Api) -> None:
    for _ in range(10):
        answer = await api.log_in("lak")
        claims = claims_of(answer["token"])
        failed = AuditEvent.REAUTHENTICATION_FAILED
        proved = await api.services.authentication.reauthenticate(claims["sub"], PASSWORD, failed)
        renewed, _ = await asyncio.gather(
            api.services.sessions.renew(claims["sid"], proved),
            api.services.sessions.end_all(claims["sub"]),
            return_exceptions=True,
        )
        if isinstance(renewed, IssuedTokens):
            assert not await is_alive(api, renewed.access_token)
        else:
            assert isinstance(renewed, TokenRevoked)
        await refused(api, answer["refresh_token"], "refresh_invalid")
        assert await api.services.sessions.list(claims["sub"], PAGE, None) == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "invalid_request"),
        ({"password": 5}, 422, "invalid_request"),
        ({"password": "x" * 4097}, 422, "invalid_request"),
        ({"password": PASSWORD, "username": "sahan"}, 422, "invalid_request"),
        ({"password": ""}, 400, "invalid_credentials"),
        ({"password": "\x00"}, 400, "invalid_credentials"),
    ],
)
async def test_bad_input_is_told(api: Api, body: dict[str, Any], status: int, code: str) -> None:
    response = await api.request("POST", "/reauthenticate", await api.token("lak"), json=body)
    await api.problem(response, status, code)
