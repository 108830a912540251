"""Signing in by a mailed link or code, which opens a session as a password does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from server.audit.model import AuditNote
from server.challenges.model import CODES
from tests.claims import claims_of
from tests.recovery.asking import Mailed, ask_code, browser_of, confirm, events, mailed, verify
from tests.running import PASSWORD, Api
from tests.sessions.refreshing import refresh

SESSION_COOKIE, DEVICE_COOKIE = "__Host-watchword", "__Host-watchword-device"
WRONG = "2222-2222"


@pytest.fixture
async def api(mailing: Api) -> Api:
    await verify(mailing, "lak", "lak@example.com")
    return mailing


async def asked(api: Api, identifier: str = "lak") -> tuple[str, Mailed, dict[str, str]]:
    """The challenge, the mail, and the browser that has asked for it."""
    response = await api.request("POST", "/login/code", json={"identifier": identifier})
    challenge: str = (await response.json())["challenge"]
    return challenge, await mailed(api), browser_of(response)


async def signed_in(api: Api, browser: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    response = await confirm(api, browser, **fields)
    assert response.status == 200, await response.text()
    answer: dict[str, Any] = await response.json()
    return answer


async def test_the_code_opens_a_session(api: Api) -> None:
    challenge, mail, _ = await asked(api)
    answer = await signed_in(api, challenge=challenge, code=mail.code.lower().replace("-", ""))
    assert set(answer) == {"token", "token_type", "expires_in", "refresh_token", "refresh_expires_in"}
    claims = claims_of(answer["token"])
    assert (claims["username"], claims["amr"]) == ("lak", ["otp"])
    assert claims["auth_time"] == api.clock.now_ms() // 1000
    (session,) = (await (await api.request("GET", "/me/sessions", answer["token"])).json())["sessions"]
    assert (session["amr"], session["current"]) == (["otp"], True)
    (event,) = await events(api, "login_succeeded")
    assert (event["target"], event["actor"], event["session_id"]) == ("lak", "lak", session["id"])
    await api.problem(await confirm(api, challenge=challenge, code=mail.code), 400, "code_invalid")


async def test_it_counts_as_a_recent_sign_in(api: Api) -> None:
    await verify(api, "sahan", "sahan@example.com")
    challenge, mail, _ = await asked(api, "sahan")
    answer = await signed_in(api, challenge=challenge, code=mail.code)
    assert (await api.request("POST", "/keys/rotate", answer["token"])).status == 204
    api.clock.advance(601)
    later = await refresh(api, answer["refresh_token"])
    await api.problem(await api.request("POST", "/keys/rotate", later["token"]), 401, "reauthentication_required")


async def test_the_link_works_in_the_browser_that_asked(api: Api) -> None:
    _, mail, browser = await asked(api)
    assert mail.token.startswith("wws_")
    assert claims_of((await signed_in(api, browser, token=mail.token))["token"])["amr"] == ["otp"]
    await api.problem(await confirm(api, browser, token=mail.token), 400, "code_invalid")


async def test_in_another_browser_the_link_needs_the_code(api: Api) -> None:
    _, mail, _ = await asked(api)
    _, _, other = await asked(api, "nobody")
    await api.problem(await confirm(api, token=mail.token), 403, "code_required")
    await api.problem(await confirm(api, other, token=mail.token), 403, "code_required")
    await api.problem(await confirm(api, other, token=mail.token, code=WRONG), 400, "code_invalid")
    await signed_in(api, other, token=mail.token, code=mail.code)


async def test_a_scanner_opens_no_session(api: Api) -> None:
    """It fetches the page of the link, and sends what the button would send, from where it is."""
    _, mail, browser = await asked(api)
    for method in ("GET", "HEAD"):
        assert (await api.request(method, str(mail.values["path"]))).status == 200
    for _ in range(30):
        response = await confirm(api, token=mail.token, cookie=True)
        await api.problem(response, 403, "code_required")
        assert "Set-Cookie" not in response.headers
    assert await events(api, "login_succeeded") == []
    await signed_in(api, browser, token=mail.token)


async def test_of_uses_at_the_same_moment_one_opens_a_session(api: Api) -> None:
    challenge, mail, browser = await asked(api)
    by_code = [confirm(api, challenge=challenge, code=mail.code) for _ in range(5)]
    by_link = [confirm(api, browser, token=mail.token) for _ in range(5)]
    answers = await asyncio.gather(*by_code, *by_link)
    assert sorted(answer.status for answer in answers) == [200, *[400] * 9]
    user = (await api.services.users.credentials_of("lak")).user
    assert await api.services.sessions.count(user.id) == 1


async def test_in_a_browser_the_refresh_token_is_in_a_cookie(api: Api) -> None:
    _, mail, browser = await asked(api)
    response = await confirm(api, browser, token=mail.token, cookie=True)
    assert set(await response.json()) == {"token", "token_type", "expires_in"}
    cookie = response.cookies[SESSION_COOKIE]
    assert (cookie["path"], cookie["samesite"], cookie["httponly"], cookie["secure"]) == ("/", "Strict", True, True)
    renewed = await api.request("POST", "/refresh", headers={"Cookie": f"{SESSION_COOKIE}={cookie.value}"})
    assert renewed.status == 200


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}]
)
async def test_no_other_site_signs_a_browser_in(api: Api, headers: dict[str, str]) -> None:
    """Login CSRF (RFC 6749 section 10.12): the attacker's code, in the victim's browser."""
    challenge, mail, browser = await asked(api)
    body = {"challenge": challenge, "code": mail.code, "cookie": True}
    refused = await api.request("POST", "/login/code/confirm", json=body, headers=headers | browser)
    await api.problem(refused, 403, "csrf")
    await signed_in(api, challenge=challenge, code=mail.code)


async def test_the_device_is_known_from_then_on(api: Api) -> None:
    """So strangers who guess passwords don't keep it out."""
    challenge, mail, _ = await asked(api)
    first = await confirm(api, challenge=challenge, code=mail.code)
    device = first.cookies[DEVICE_COOKIE].value
    user = (await api.services.users.credentials_of("lak")).user
    known = api.services.authentication.known_device(device, user.id)
    assert known is not None
    challenge, mail, _ = await asked(api)
    again = await confirm(api, {"Cookie": f"{DEVICE_COOKIE}={device}"}, challenge=challenge, code=mail.code)
    assert api.services.authentication.known_device(again.cookies[DEVICE_COOKIE].value, user.id) == known


async def test_an_owner_whom_strangers_have_locked_out_gets_in(api: Api) -> None:
    wrong, right = {"username": "lak", "password": "wrong"}, {"username": "lak", "password": PASSWORD}
    for _ in range(70):
        api.clock.advance(900)
        await api.problem(await api.request("POST", "/login", json=wrong), 400, "invalid_credentials")
    api.clock.advance(900)
    await api.problem(await api.request("POST", "/login", json=right), 429, "too_many_attempts")
    challenge, mail, _ = await asked(api)
    await signed_in(api, challenge=challenge, code=mail.code)
    assert (await api.request("POST", "/login", json=right)).status == 200


async def test_ten_codes_are_looked_at_and_the_link_goes_on(api: Api) -> None:
    """NIST SP 800-63B-4 section 3.2.2. Strangers who know the challenge use up the codes, but have no link."""
    challenge, mail, browser = await asked(api)
    for _ in range(10):
        await api.problem(await confirm(api, challenge=challenge, code=WRONG), 400, "code_invalid")
    await api.problem(await confirm(api, challenge=challenge, code=mail.code), 400, "code_invalid")
    await signed_in(api, browser, token=mail.token)


async def test_it_is_good_for_ten_minutes(api: Api) -> None:
    challenge, mail, browser = await asked(api)
    api.clock.advance(600)
    await api.problem(await confirm(api, challenge=challenge, code=mail.code), 400, "code_invalid")
    await api.problem(await confirm(api, browser, token=mail.token), 400, "code_invalid")
    _, later, browser = await asked(api)
    api.clock.advance(599)
    await signed_in(api, browser, token=later.token)


async def _disable(api: Api) -> None:
    user = (await api.services.users.credentials_of("lak")).user
    await api.services.users.update(user.id, disabled=True)


async def _disable_for_a_while(api: Api) -> None:
    await _disable(api)
    user = (await api.services.users.credentials_of("lak")).user
    await api.services.users.update(user.id, disabled=False)


async def _other_address(api: Api) -> None:
    user = (await api.services.users.credentials_of("lak")).user
    await api.services.users.update(user.id, email="lak@home.example")


async def _other_password(api: Api) -> None:
    await api.services.user_passwords.replace(await api.services.users.credentials_of("lak"), "nine owls count trains")


CHANGES = [_disable, _disable_for_a_while, _other_address, _other_password]


@pytest.mark.parametrize("change", CHANGES)
async def test_who_has_no_access_any_more_gets_no_session(api: Api, change: Callable[[Api], Awaitable[None]]) -> None:
    challenge, mail, browser = await asked(api)
    await change(api)
    await api.problem(await confirm(api, challenge=challenge, code=mail.code), 400, "code_invalid")
    await api.problem(await confirm(api, browser, token=mail.token), 400, "code_invalid")
    reasons = {event["reason"] for event in await events(api, "login_failed")}
    assert reasons == ({"no access any more"} if change is _other_address else {"wrong code", "wrong link"})


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_while_somebody_signs_in_wins(
    api: Api, monkeypatch: pytest.MonkeyPatch, change: Callable[[Api], Awaitable[None]]
) -> None:
    """What was right when it was looked at is looked at again in the transaction that opens the session."""
    challenge, mail, _ = await asked(api)
    credentials_of = api.services.challenges.credentials_of

    async def found_and_then_changed(*given: Any) -> Any:
        found = await credentials_of(*given)
        await change(api)
        return found

    monkeypatch.setattr(api.services.challenges, "credentials_of", found_and_then_changed)
    await api.problem(await confirm(api, challenge=challenge, code=mail.code), 400, "code_invalid")
    assert await events(api, "login_succeeded") == []
    (event,) = await events(api, "login_failed")
    assert (event["target"], event["reason"]) == ("lak", "changed meanwhile")


async def test_a_failure_names_the_account_whose_code_it_was(api: Api) -> None:
    """Without the link only the last one that is looked at: more work for somebody than for nobody would tell."""
    challenge, mail, _ = await asked(api)
    for _ in range(CODES + 1):
        await confirm(api, challenge=challenge, code=WRONG)
    await confirm(api, token=mail.token, code=WRONG)
    unknown = api.services.ids.new_id()
    for _ in range(CODES + 1):
        await confirm(api, challenge=unknown, code=WRONG)
    await confirm(api, token="wws_" + "A" * 43)
    assert [(event["target"], event["reason"]) for event in await events(api, "login_failed")] == [
        (None, "wrong link"),
        *[(None, "wrong code")] * (CODES + 1),
        ("lak", "wrong code"),
        (None, "wrong code"),
        ("lak", "wrong code"),
        *[(None, "wrong code")] * (CODES - 1),
    ]


async def test_what_is_wrong_is_answered_and_done_alike(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A challenge is told for every name: whether there is one behind it must not show (CWE-204, CWE-208)."""
    challenge, mail, _ = await asked(api)
    for_nobody = await ask_code(api, "nobody")
    await api.services.recovery.resolve()
    recorded: list[str | None] = []
    record = api.services.repositories.audit.record

    async def counted(note: AuditNote) -> None:
        recorded.append(note.target_name)
        await record(note)

    monkeypatch.setattr(api.services.repositories.audit, "record", counted)
    bodies: list[dict[str, Any]] = [
        {"challenge": challenge, "code": WRONG},
        {"challenge": for_nobody, "code": WRONG},
        {"challenge": "no id at all\u0000", "code": WRONG},
        {"challenge": challenge.upper(), "code": "no code"},
        {"challenge": for_nobody, "code": mail.code},
        {"token": "wws_x", "code": WRONG},
    ]
    problems = []
    for body in bodies:
        problem = await api.problem(await confirm(api, **body), 400, "code_invalid")
        problems.append({name: text for name, text in problem.items() if name != "request_id"})
    assert all(problem == problems[0] for problem in problems)
    assert recorded == [None] * len(bodies)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "challenge"),
        ({"code": WRONG}, "challenge"),
        ({"challenge": "x"}, "code"),
        ({"challenge": "x", "token": "wws_x"}, "challenge"),
        ({"challenge": "x" * 101, "code": WRONG}, "challenge"),
        ({"token": "", "code": WRONG}, "token"),
        ({"token": "wws_x", "cookie": "yes"}, "cookie"),
    ],
)
async def test_a_body_has_one_proof(api: Api, body: dict[str, Any], field: str) -> None:
    problem = await api.problem(await confirm(api, **body), 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == [field]
