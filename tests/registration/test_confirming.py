"""Registration where mail is sent: the address is confirmed before the first sign-in."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from server.registration.unconfirmed import CONFIRM_MS
from server.settings.tree import LimitSettings, RegistrationSettings
from tests.emails.mailed import (
    BY_INVITATION,
    MAIL,
    OPEN,
    Browser,
    emails_of,
    events,
    kinds,
    mails,
    user_id_of,
)
from tests.registration.inviting import OPEN as OPEN_WITHOUT_MAIL
from tests.registration.inviting import invite, is_there, reloaded, user_of
from tests.running import PASSWORD, Api, StartApi

NUWAN = "nuwan@example.com"
WRONG = "not the password of anybody"


async def sign_up(browser: Browser, username: str = "nuwan", **fields: Any) -> aiohttp.ClientResponse:
    body = {"username": username, "name": "Nuwan", "password": PASSWORD} | fields
    return await browser.request("POST", "/sign-up", json=body)


async def log_in(browser: Browser, username: str = "nuwan", password: str = PASSWORD) -> tuple[int, str]:
    """Status, and the code of a refusal."""
    response = await browser.request("POST", "/login", json={"username": username, "password": password})
    return response.status, (await response.json()).get("code", "")


async def unconfirmed(api: Api) -> list[str]:
    far = api.clock.now_ms() + 2 * CONFIRM_MS
    return await api.services.repositories.unconfirmed.expired(far, 1000)


async def test_who_registers_confirms_the_address_before_the_first_sign_in(start_api: StartApi) -> None:
    api = await start_api(**OPEN)
    browser = Browser(api)
    user = await user_of(await sign_up(browser, email="Nuwan@EXAMPLE.com"))
    assert (user["email"], user["email_verified"]) == ("Nuwan@example.com", False)
    (mail,) = await mails(api)
    assert (mail.kind, mail.recipient, mail.values["hours"]) == ("confirm-email", "Nuwan@example.com", 24)
    assert set(mail.values) == {"path", "code", "hours"}
    assert mail.values["path"].startswith("/confirm-email#wwe_")
    assert mail.give_up_at == api.clock.now_ms() + 86_400_000
    assert await log_in(browser) == (403, "email_not_confirmed")
    assert await log_in(browser, NUWAN) == (400, "invalid_credentials")
    assert await unconfirmed(api) == [user["id"]]
    assert await browser.confirm(token=mail.token) == "done"
    assert (await log_in(browser))[0] == (await log_in(browser, NUWAN))[0] == 200
    assert await unconfirmed(api) == []
    assert await emails_of(api, "nuwan") == [("Nuwan@example.com", True, True)]
    (confirmed,) = await events(api, "email_confirmed")
    assert (confirmed["target_id"], confirmed["actor_id"]) == (user["id"], None)
    assert confirmed["before"] == {"primary": "Nuwan@example.com"}
    assert confirmed["after"] == {"email": "Nuwan@example.com", "primary": "Nuwan@example.com"}
    # A link works once.
    assert await browser.confirm(token=mail.token) == "confirmation_invalid"


async def test_a_right_password_mails_again_and_a_wrong_one_is_one_of_anybody(start_api: StartApi) -> None:
    api = await start_api(**OPEN)
    first, second = Browser(api), Browser(api, ip="192.0.2.2")
    await user_of(await sign_up(first, email=NUWAN))
    unknown = await second.request("POST", "/login", json={"username": "nobody", "password": WRONG})
    wrong = await second.request("POST", "/login", json={"username": "nuwan", "password": WRONG})
    assert unknown.status == wrong.status == 400
    bodies = [await response.json() for response in (unknown, wrong)]
    assert bodies[0] | {"request_id": ""} == bodies[1] | {"request_id": ""}
    assert unknown.headers.keys() == wrong.headers.keys()
    assert len(await mails(api)) == 1
    assert await log_in(second) == (403, "email_not_confirmed")
    _, again = await mails(api, NUWAN)
    # The new link works in the browser of this sign-in.
    assert second.cookie not in {None, first.cookie}
    assert await second.confirm(token=again.token) == "done"
    assert (await log_in(second))[0] == 200
    reasons = [(event["target_name"], event["after"]["reason"]) for event in await events(api, "login_failed")]
    assert reasons == [("nuwan", "not confirmed"), ("nuwan", "wrong password"), (None, "unknown user")]


async def test_who_tries_often_uses_the_mails_that_came(start_api: StartApi) -> None:
    """Beyond the limit none is mailed, and none of those before is ended by it."""
    api = await start_api(**OPEN)
    browser = Browser(api)
    await user_of(await sign_up(browser, email=NUWAN))
    for _ in range(12):
        assert await log_in(browser) == (403, "email_not_confirmed")
    came = await mails(api, NUWAN)
    assert len(came) == 5
    assert await browser.confirm(token=came[0].token) == "done"


async def test_a_right_password_of_an_unconfirmed_account_begins_anew_with_the_wrong_ones(start_api: StartApi) -> None:
    api = await start_api(**OPEN)
    browser = Browser(api)
    await user_of(await sign_up(browser, email=NUWAN))
    for _ in range(2):
        assert [await log_in(browser, password=WRONG) for _ in range(19)] == [(400, "invalid_credentials")] * 19
        assert await log_in(browser) == (403, "email_not_confirmed")
    # All mails that an address gets in an hour.
    for _ in range(10):
        assert await log_in(browser) == (403, "email_not_confirmed")
    assert await kinds(api, NUWAN) == ["confirm-email"] * 5
    api.clock.advance(3600)
    assert await log_in(browser) == (403, "email_not_confirmed")
    assert len(await mails(api)) == 6


async def test_a_client_that_has_asked_for_too_many_mails_hears_the_same_of_the_account(start_api: StartApi) -> None:
    api = await start_api(**OPEN, limits=LimitSettings(address_mails_per_hour=1))
    browser = Browser(api)
    await user_of(await sign_up(browser, email=NUWAN))
    assert await log_in(browser) == (403, "email_not_confirmed")
    assert len(await mails(api)) == 1
    assert [event["after"] for event in await events(api, "login_failed")] == [{"reason": "not confirmed"}]
    assert await log_in(Browser(api, ip="192.0.2.2")) == (403, "email_not_confirmed")
    assert len(await mails(api)) == 2


@pytest.mark.parametrize("way", ["verified address", "username"])
async def test_nothing_tells_whether_the_address_is_somebodys(start_api: StartApi, way: str) -> None:
    """OWASP ASVS 5.0, 6.3.8: registration does not tell whether there is an account."""
    api = await start_api(**OPEN)
    lak = await user_id_of(api, "lak")
    if way == "username":
        await api.services.users.rename(lak, "taken@example.com")
    else:
        await api.services.users.update(lak, email="Taken@example.com")
    browser, other = Browser(api), Browser(api)
    taken = await sign_up(browser, "one", email="TAKEN@example.com")
    free = await sign_up(other, "two", email="free@example.com")
    assert taken.headers.keys() == free.headers.keys()
    users = [await user_of(taken), await user_of(free)]
    assert users[0].keys() == users[1].keys()
    assert [(user["email_verified"], user["role"]) for user in users] == [(False, "customer")] * 2
    assert await log_in(browser, "one") == await log_in(other, "two") == (403, "email_not_confirmed")
    first, again = await mails(api, "TAKEN@example.com" if way == "username" else "Taken@example.com")
    # Nothing that a stranger has chosen, and nothing to confirm by.
    assert (first.kind, first.values) == (again.kind, again.values) == ("address-taken", {"path": "/sign-in"})
    assert await kinds(api, "free@example.com") == ["confirm-email"] * 2
    rows = await api.services.repositories.driver.read("SELECT email_key FROM challenges ORDER BY email_key")
    assert [row["email_key"] for row in rows] == ["free@example.com"] * 2 + ["taken@example.com"] * 2


async def test_who_floods_an_address_hears_the_same_and_mails_nothing(start_api: StartApi) -> None:
    api = await start_api(**OPEN)
    answers = [await sign_up(Browser(api, ip=f"192.0.2.{n}"), f"user{n}", email=NUWAN) for n in range(1, 9)]
    assert {response.status for response in answers} == {201}
    assert len({frozenset(response.headers) for response in answers}) == 1
    assert len(await unconfirmed(api)) == 8
    assert await kinds(api, NUWAN) == ["confirm-email"] * 5


async def test_who_gives_an_address_again_and_again_keeps_no_new_password_from_its_owner(start_api: StartApi) -> None:
    """CWE-645: the owner is told that somebody gives it, five times an hour, and gets the mail that matters."""
    api = await start_api(**OPEN)
    user_id = await user_id_of(api, "lak")
    await api.services.users.update(user_id, email="lak@example.com")
    for n in range(1, 9):
        await user_of(await sign_up(Browser(api, ip=f"192.0.2.{n}"), f"user{n}", email=f"lak+{n}@example.com"))
        await user_of(await sign_up(Browser(api, ip=f"192.0.2.{n}"), f"user1{n}", email="lak@example.com"))
    sent = [mail.kind for mail in await mails(api)]
    assert len(sent) == 5
    assert set(sent) == {"address-taken", "confirm-email"}
    owner = Browser(api, ip="198.51.100.1")
    assert (await owner.request("POST", "/password/forgot", json={"identifier": "lak"})).status == 202
    await api.services.recovery.resolve()
    mail = (await mails(api))[-1]
    assert (mail.kind, mail.recipient) == ("reset-password", "lak@example.com")
    body = {"reset_token": mail.token, "new_password": "seven lamps under the bridge"}
    assert (await owner.request("POST", "/password/reset", json=body)).status == 204


async def test_an_invitation_for_many_does_not_mail_to_many_from_one_client(start_api: StartApi) -> None:
    api = await start_api(**BY_INVITATION, limits=LimitSettings(address_mails_per_hour=2))
    _, token = await invite(api, uses=10)
    for browser, statuses in ((Browser(api), [201, 201, 429]), (Browser(api, ip="192.0.2.2"), [201, 201, 429])):
        answers = [
            await sign_up(
                browser, f"user-{browser.ip}-{n}", email=f"user{n}@{browser.ip}.example", invitation_token=token
            )
            for n in range(3)
        ]
        assert [response.status for response in answers] == statuses
    assert len(await mails(api)) == 4


async def test_a_client_and_all_together_make_so_many_accounts_that_are_mailed_to(start_api: StartApi) -> None:
    api = await start_api(**OPEN, limits=LimitSettings(address_mails_per_hour=2, all_mails_per_hour=3))
    first, second = Browser(api), Browser(api, ip="192.0.2.2")
    for browser, number, status in (
        (first, 1, 201),
        (first, 2, 201),
        (first, 3, 429),
        (second, 4, 201),
        (second, 5, 429),
    ):
        response = await sign_up(browser, f"user{number}", email=f"user{number}@example.com")
        assert response.status == status
        assert await is_there(api, f"user{number}") is (status == 201)
    assert len(await mails(api)) == 3
    # Strangers keep nobody out who is invited.
    _, token = await invite(api)
    await user_of(await sign_up(second, email=NUWAN, invitation_token=token))
    assert await kinds(api, NUWAN) == ["confirm-email"]


async def test_an_address_is_needed_in_the_open_and_by_an_invitation_for_anybody_it_is_not(start_api: StartApi) -> None:
    api = await start_api(**OPEN)
    browser = Browser(api)
    problem = await api.problem(await sign_up(browser), 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == ["email"]
    assert not await is_there(api, "nuwan")
    _, token = await invite(api, uses=2)
    without = await user_of(await sign_up(browser, "without", invitation_token=token))
    assert without["email"] is None
    assert (await log_in(browser, "without"))[0] == 200
    await user_of(await sign_up(browser, email=NUWAN, invitation_token=token))
    assert await log_in(browser) == (403, "email_not_confirmed")
    assert await browser.confirm(token=(await mails(api, NUWAN))[-1].token) == "done"
    assert (await log_in(browser))[0] == 200


async def test_an_invitation_for_an_address_is_mailed_and_leaves_nothing_to_confirm(start_api: StartApi) -> None:
    api = await start_api(**BY_INVITATION)
    admin = await api.token("sahan")
    body = {"email": NUWAN, "expires_in": 60}
    response = await api.request("POST", "/invitations", admin, json=body, headers={"Accept-Language": "de"})
    answer = await response.json()
    assert (response.status, answer["mailed"]) == (201, True)
    (mail,) = await mails(api)
    assert (mail.kind, mail.recipient, mail.language) == ("invitation", NUWAN, "de")
    expires_at = api.clock.now_ms() + 60_000
    assert mail.values == {"path": f"/invitation#{answer['invitation_token']}", "expires_at": expires_at}
    assert mail.give_up_at == expires_at
    user = await user_of(await sign_up(Browser(api), invitation_token=mail.token))
    assert (user["email"], user["email_verified"]) == (NUWAN, True)
    assert (await log_in(Browser(api)))[0] == 200
    assert len(await mails(api)) == 1
    for anybody in (await api.request("POST", "/invitations", admin, json={}),):
        assert (await anybody.json())["mailed"] is False
    assert len(await mails(api)) == 1


async def test_without_mail_all_is_as_it_was(start_api: StartApi) -> None:
    api = await start_api(**OPEN_WITHOUT_MAIL)
    browser = Browser(api)
    await user_of(await sign_up(browser))
    await user_of(await sign_up(browser, "second", email=NUWAN))
    assert browser.cookie is None
    assert (await log_in(browser))[0] == (await log_in(browser, "second"))[0] == 200
    admin = await api.token("sahan")
    made = await api.request("POST", "/invitations", admin, json={"email": NUWAN})
    assert (await made.json())["mailed"] is False
    assert (await mails(api), await unconfirmed(api)) == ([], [])


async def test_where_no_mail_is_sent_any_more_an_account_stays_unconfirmed_and_a_link_works(
    start_api: StartApi,
) -> None:
    api = await start_api(**OPEN)
    browser = Browser(api)
    await user_of(await sign_up(browser, email=NUWAN))
    (mail,) = await mails(api)
    api = await reloaded(api, mail=MAIL["mail"].model_copy(update={"url": ""}))
    browser.api = api
    assert await log_in(browser) == (403, "email_not_confirmed")
    assert await browser.confirm(token=mail.token) == "done"
    assert (await log_in(browser))[0] == 200


async def test_an_admin_who_gives_the_address_confirms_the_account(start_api: StartApi) -> None:
    api = await start_api(**OPEN)
    browser = Browser(api)
    user = await user_of(await sign_up(browser, email=NUWAN))
    path, admin = f"/users/{user['id']}", await api.token("sahan")
    # Neither another name, nor an address less, nor a password of an operator confirms anything.
    for change in ({"name": "New"}, {"email": None}):
        assert (await api.request("PATCH", path, admin, json=change)).status == 200
    reset = await (await api.request("POST", f"{path}/password-reset", admin)).json()
    new = {"reset_token": reset["reset_token"], "new_password": PASSWORD}
    assert (await api.request("POST", "/password/reset", json=new)).status == 204
    assert await log_in(browser) == (403, "email_not_confirmed")
    assert (await api.request("PATCH", path, admin, json={"email": NUWAN})).status == 200
    assert (await log_in(browser))[0] == 200


async def test_the_domains_of_the_settings_hold_with_mail_too(start_api: StartApi) -> None:
    settings = RegistrationSettings(mode="open", email_domains=("example.com",))
    api = await start_api(**MAIL, registration=settings)
    browser = Browser(api)
    await api.problem(await sign_up(browser, email="nuwan@example.org"), 422, "invalid_request")
    await user_of(await sign_up(browser, email=NUWAN))
    assert [mail.recipient for mail in await mails(api)] == [NUWAN]
