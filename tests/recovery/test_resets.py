"""A forgotten password: what the mailed link and code can do, and what ends them (OWASP Forgot Password)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tests.recovery.asking import (
    NEW_PASSWORD,
    Mailed,
    ask_code,
    browser_of,
    confirm,
    events,
    forgot,
    mailed,
    mails,
    reset,
    verify,
)
from tests.running import PASSWORD, Api

OTHER_PASSWORD = "nine owls count the trains"


@pytest.fixture
async def api(mailing: Api) -> Api:
    await verify(mailing, "lak", "lak@example.com")
    return mailing


async def asked(api: Api, identifier: str = "lak") -> tuple[Mailed, dict[str, str]]:
    """The mail, and the browser that has asked for it."""
    response = await forgot(api, identifier)
    return await mailed(api), browser_of(response)


async def logs_in(api: Api, password: str, username: str = "lak") -> bool:
    response = await api.request("POST", "/login", json={"username": username, "password": password})
    assert response.status in {200, 400, 429}
    return response.status == 200


async def test_the_link_sets_a_password_in_the_browser_that_asked(api: Api) -> None:
    session = await api.log_in("lak")
    mail, browser = await asked(api)
    assert mail.token.startswith("wwf_")
    response = await reset(api, browser=browser, reset_token=mail.token)
    assert (response.status, await response.read(), response.cookies) == (204, b"", {})
    assert not await logs_in(api, PASSWORD)
    assert await logs_in(api, NEW_PASSWORD)
    renewed = await api.request("POST", "/refresh", json={"refresh_token": session["refresh_token"]})
    await api.problem(renewed, 401, "refresh_invalid")
    await api.problem(await api.request("GET", "/me", session["token"]), 401, "token_revoked")
    assert await events(api, "password_reset") == [{"target": "lak", "actor": None, "via": "http", "sessions_ended": 1}]
    await api.problem(await reset(api, browser=browser, reset_token=mail.token), 400, "reset_invalid")


async def test_in_another_browser_the_link_needs_the_code(api: Api) -> None:
    mail, _ = await asked(api)
    _, other = await asked(api, "sahan")
    await api.problem(await reset(api, reset_token=mail.token), 403, "code_required")
    await api.problem(await reset(api, browser=other, reset_token=mail.token), 403, "code_required")
    await api.problem(await reset(api, reset_token=mail.token, code="2222-2222"), 400, "code_invalid")
    assert (await reset(api, reset_token=mail.token, code=mail.code)).status == 204
    assert await logs_in(api, NEW_PASSWORD)


@pytest.mark.parametrize("identifier", ["lak", "LAK", "lak@example.com", "Lak@Example.com"])
async def test_the_code_alone_needs_the_name(api: Api, identifier: str) -> None:
    mail, _ = await asked(api)
    typed = mail.code.replace("-", " ").lower()
    for name, code in (("sahan", mail.code), ("nobody", mail.code), (identifier, "2222-2222"), (identifier, "")):
        await api.problem(await reset(api, identifier=name, code=code), 400, "code_invalid")
    assert (await reset(api, identifier=identifier, code=typed)).status == 204
    await api.problem(await reset(api, OTHER_PASSWORD, identifier=identifier, code=mail.code), 400, "code_invalid")
    assert await logs_in(api, NEW_PASSWORD)


async def test_a_scanner_changes_nothing(api: Api) -> None:
    """It fetches the page of the link, and sends what the button would send, from where it is."""
    mail, browser = await asked(api)
    path = str(mail.values["path"])
    for method in ("GET", "HEAD"):
        page = await api.request(method, path)
        assert page.status == 200
    for _ in range(30):
        assert (await reset(api, "scanned and set by a robot", reset_token=mail.token)).status in {403, 429}
    assert await logs_in(api, PASSWORD)
    assert (await reset(api, browser=browser, reset_token=mail.token)).status == 204


@pytest.mark.parametrize("password", ["short", "lak@example.com", "password1234"])
async def test_a_password_that_is_refused_uses_nothing_up(api: Api, password: str) -> None:
    mail, browser = await asked(api)
    for _ in range(12):
        await api.problem(await reset(api, password, identifier="lak", code=mail.code), 422, "invalid_request")
        await api.problem(await reset(api, password, browser=browser, reset_token=mail.token), 422, "invalid_request")
    assert (await reset(api, identifier="lak", code=mail.code)).status == 204


@pytest.mark.parametrize("password", ["short", NEW_PASSWORD])
async def test_who_has_no_token_learns_nothing_of_the_rules(api: Api, password: str) -> None:
    await api.problem(await reset(api, password, reset_token="wwf_" + "A" * 43), 400, "reset_invalid")
    await api.problem(await reset(api, password, identifier="lak", code="2222-2222"), 400, "code_invalid")


async def test_a_newer_mail_makes_the_older_ones_invalid(api: Api) -> None:
    first, browser = await asked(api)
    second, _ = await asked(api, "lak@example.com")
    await api.problem(await reset(api, browser=browser, reset_token=first.token), 400, "reset_invalid")
    await api.problem(await reset(api, identifier="lak", code=first.code), 400, "code_invalid")
    assert (await reset(api, identifier="lak", code=second.code)).status == 204


async def _owner_changes(api: Api) -> None:
    token = await api.token("lak")
    body = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
    assert (await api.request("POST", "/me/password", token, json=body)).status == 204


async def _operator_sets(api: Api) -> None:
    await api.services.user_passwords.replace(await api.services.users.credentials_of("lak"), OTHER_PASSWORD)


async def _reset_by_an_admin(api: Api) -> None:
    user = (await api.services.users.credentials_of("lak")).user
    token = await api.services.user_passwords.request_reset(user.id)
    assert (await reset(api, OTHER_PASSWORD, reset_token=token)).status == 204


@pytest.mark.parametrize("change", [_owner_changes, _operator_sets, _reset_by_an_admin])
async def test_a_password_that_is_set_ends_what_was_mailed(api: Api, change: Callable[[Api], Awaitable[None]]) -> None:
    mail, browser = await asked(api)
    challenge = await ask_code(api, "lak")
    to_sign_in = await mailed(api)
    await change(api)
    await api.problem(await reset(api, browser=browser, reset_token=mail.token), 400, "reset_invalid")
    await api.problem(await reset(api, identifier="lak", code=mail.code), 400, "code_invalid")
    await api.problem(await confirm(api, challenge=challenge, code=to_sign_in.code), 400, "code_invalid")
    assert await logs_in(api, OTHER_PASSWORD)


async def _disable(api: Api) -> None:
    user = (await api.services.users.credentials_of("lak")).user
    await api.services.users.update(user.id, disabled=True)


async def _disable_for_a_while(api: Api) -> None:
    user = (await api.services.users.credentials_of("lak")).user
    await api.services.users.update(user.id, disabled=True)
    await api.services.users.update(user.id, disabled=False)


async def _other_address(api: Api) -> None:
    user = (await api.services.users.credentials_of("lak")).user
    await api.services.users.update(user.id, email="lak@home.example")


async def _no_address(api: Api) -> None:
    user = (await api.services.users.credentials_of("lak")).user
    await api.services.users.update(user.id, email=None)


async def _delete(api: Api) -> None:
    await api.services.users.delete((await api.services.users.credentials_of("lak")).user.id)


@pytest.mark.parametrize("change", [_disable, _disable_for_a_while, _other_address, _no_address, _delete])
async def test_who_may_not_get_the_mail_any_more_sets_no_password(
    api: Api, change: Callable[[Api], Awaitable[None]]
) -> None:
    mail, browser = await asked(api)
    before = await api.services.users.credentials_of("lak")
    await change(api)
    await api.problem(await reset(api, browser=browser, reset_token=mail.token), 400, "reset_invalid")
    await api.problem(await reset(api, identifier="lak", code=mail.code), 400, "code_invalid")
    after = await api.services.repositories.users.get_credentials(before.user.id)
    assert after is None or after.password_hash == before.password_hash


async def test_disabling_while_a_reset_is_hashed_wins(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was right when it was looked at is looked at again in the transaction that sets the password."""
    mail, browser = await asked(api)
    before = await api.services.users.credentials_of("lak")
    hashed = api.services.preferred_hashes.hash

    async def hash_meanwhile(password: str) -> str:
        await _disable(api)
        return await hashed(password)

    monkeypatch.setattr(api.services.preferred_hashes, "hash", hash_meanwhile)
    await api.problem(await reset(api, browser=browser, reset_token=mail.token), 400, "reset_invalid")
    after = await api.services.users.credentials_of("lak")
    assert (after.password_hash, after.user.disabled) == (before.password_hash, True)
    assert await events(api, "password_reset") == []


async def test_of_uses_at_the_same_moment_one_sets_the_password(api: Api) -> None:
    mail, browser = await asked(api)
    passwords = [f"{NEW_PASSWORD} {number}" for number in range(8)]
    by_link = [reset(api, password, browser=browser, reset_token=mail.token) for password in passwords[:4]]
    by_code = [reset(api, password, identifier="lak", code=mail.code) for password in passwords[4:]]
    answers = await asyncio.gather(*by_link, *by_code)
    assert sorted(answer.status for answer in answers) == [204, *[400] * 7]
    right = [await logs_in(api, password) for password in passwords]
    assert right == [answer.status == 204 for answer in answers]
    assert len(await events(api, "password_reset")) == 1


async def test_a_reset_and_a_change_at_the_same_moment_set_one_password(api: Api) -> None:
    token = await api.token("lak")
    mail, browser = await asked(api)
    body = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
    answers = await asyncio.gather(
        reset(api, browser=browser, reset_token=mail.token), api.request("POST", "/me/password", token, json=body)
    )
    assert sorted(answer.status for answer in answers) == [204, 400]
    assert await logs_in(api, NEW_PASSWORD) is (answers[0].status == 204)
    assert await logs_in(api, OTHER_PASSWORD) is (answers[1].status == 204)


async def test_it_is_good_for_half_an_hour(api: Api) -> None:
    mail, browser = await asked(api)
    api.clock.advance(1799)
    await api.problem(await reset(api, "short", browser=browser, reset_token=mail.token), 422, "invalid_request")
    api.clock.advance(1)
    await api.problem(await reset(api, browser=browser, reset_token=mail.token), 400, "reset_invalid")
    await api.problem(await reset(api, identifier="lak", code=mail.code), 400, "code_invalid")


async def test_an_owner_whom_strangers_have_locked_out_gets_in(api: Api) -> None:
    for number in range(70):
        api.clock.advance(900)
        assert not await logs_in(api, f"wrong {number}")
    api.clock.advance(900)
    assert not await logs_in(api, PASSWORD)
    mail, browser = await asked(api)
    assert (await reset(api, browser=browser, reset_token=mail.token)).status == 204
    assert await logs_in(api, NEW_PASSWORD)


async def test_whatever_strangers_guess_the_owner_gets_in_by_the_link(api: Api) -> None:
    """Ten codes are looked at without the link (NIST SP 800-63B-4 section 3.2.2), and the link is not theirs."""
    mail, browser = await asked(api)
    for _ in range(10):
        await api.problem(await reset(api, identifier="lak", code="2222-2222"), 400, "code_invalid")
    await api.problem(await reset(api, identifier="lak", code=mail.code), 400, "code_invalid")
    assert (await reset(api, browser=browser, reset_token=mail.token)).status == 204


async def test_a_code_for_one_purpose_is_nothing_for_another(api: Api) -> None:
    mail, browser = await asked(api)
    challenge = await ask_code(api, "lak")
    to_sign_in = await mailed(api)
    await api.problem(await reset(api, reset_token=to_sign_in.token, code=to_sign_in.code), 400, "reset_invalid")
    await api.problem(await reset(api, identifier="lak", code=to_sign_in.code), 400, "code_invalid")
    await api.problem(await confirm(api, browser, token=mail.token), 400, "code_invalid")
    await api.problem(await confirm(api, challenge=challenge, code=mail.code), 400, "code_invalid")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "reset_token"),
        ({"code": "7KQ4-XW2M"}, "reset_token"),
        ({"identifier": "lak"}, "code"),
        ({"identifier": "lak", "reset_token": "wwf_x"}, "identifier"),
        ({"identifier": "", "code": "7KQ4-XW2M"}, "identifier"),
        ({"identifier": "lak", "code": "2" * 101}, "code"),
        ({"reset_token": ""}, "reset_token"),
    ],
)
async def test_a_body_has_one_proof(api: Api, body: dict[str, Any], field: str) -> None:
    problem = await api.problem(await reset(api, **body), 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_tokens_of_admins_need_no_mail_and_no_code(api: Api) -> None:
    user = (await api.services.users.credentials_of("lak")).user
    token = await api.services.user_passwords.request_reset(user.id)
    assert token.startswith("wwp_")
    response: aiohttp.ClientResponse = await reset(api, reset_token=token, code="2222-2222")
    assert response.status == 204
    assert [mail.kind for mail in await mails(api)] == ["password-changed"]
