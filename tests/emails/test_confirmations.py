"""Users add addresses, and confirm them by what was mailed."""

from __future__ import annotations

from typing import Any

import pytest

from server.challenges.model import CODES
from server.sessions.cookies import BROWSER_COOKIE
from server.settings.tree import LimitSettings
from tests.emails.mailed import MAIL, Browser, Waiting, emails_of, events, kinds, mails, user_id_of
from tests.records import id_of
from tests.running import PASSWORD, Api, StartApi
from tests.sessions.refreshing import refresh

NEW = "new@example.com"


@pytest.fixture
async def api(start_api: StartApi) -> Api:
    """Lak has verified lak@example.com, and nobody has got a mail."""
    api = await start_api(**MAIL)
    await api.services.users.update(await user_id_of(api, "lak"), email="lak@example.com")
    await forget_mails(api)
    return api


async def forget_mails(api: Api) -> None:
    await api.services.repositories.driver.write_one("DELETE FROM mails")


async def add(browser: Browser, email: str, username: str = "lak") -> None:
    response = await browser.request("POST", "/me/emails", await browser.api.token(username), json={"email": email})
    assert (response.status, await response.read()) == (202, b"")


async def last(api: Api, recipient: str = NEW) -> Waiting:
    return (await mails(api, recipient))[-1]


async def email_id_of(api: Api, username: str, email: str) -> str:
    found = await api.services.emails.list(await user_id_of(api, username))
    return next(one.id for one in found if one.email == email)


async def test_a_new_address_is_confirmed_in_the_browser_that_gave_it(api: Api) -> None:
    browser = Browser(api)
    await add(browser, "New@EXAMPLE.com")
    assert await emails_of(api, "lak") == [("lak@example.com", True, True), ("New@example.com", False, False)]
    (mail,) = await mails(api)
    assert (mail.kind, mail.recipient) == ("confirm-email", "New@example.com")
    assert await browser.confirm(token=mail.token) == "done"
    assert await emails_of(api, "lak") == [("lak@example.com", True, True), ("New@example.com", True, False)]
    assert (await api.log_in(NEW))["token"]
    # The old one hears of it.
    (told,) = await mails(api, "lak@example.com")
    assert (told.kind, told.values) == (
        "email-added",
        {"path": "/account", "username": "lak", "email": "New@example.com"},
    )
    (added,), (confirmed,) = await events(api, "email_added"), await events(api, "email_confirmed")
    lak = await user_id_of(api, "lak")
    assert (added["actor_id"], added["target_id"], added["after"]) == (lak, lak, {"email": "New@example.com"})
    primary = {"primary": "lak@example.com"}
    assert (confirmed["before"], confirmed["after"]) == (primary, {"email": "New@example.com", **primary})


async def test_a_scanner_that_opens_the_link_and_presses_the_button_uses_up_nothing(api: Api) -> None:
    """Mail gateways follow links and some press buttons; RFC 9110 section 9.2.1: GET and HEAD are safe."""
    browser, scanner = Browser(api), Browser(api, ip="198.51.100.7")
    await add(browser, NEW)
    mail = await last(api)
    for method in ("GET", "HEAD", "GET"):
        for path in ("/confirm-email", f"/confirm-email?token={mail.token}"):
            assert (await scanner.request(method, path)).status == 200
        response = await scanner.request(method, "/email/confirm", params={"token": mail.token})
        assert response.status == 405
    for _ in range(CODES + 1):
        assert await scanner.confirm(token=mail.token) == "code_required"
    # A cookie of its own is that of another browser.
    await add(scanner, "scanner@example.com", "sahan")
    assert scanner.cookie not in {None, browser.cookie}
    assert await scanner.confirm(token=mail.token) == "code_required"
    assert await scanner.confirm(token=mail.token, code="2222-2222") == "code_invalid"
    assert await emails_of(api, "lak") == [("lak@example.com", True, True), (NEW, False, False)]
    assert await browser.confirm(token=mail.token) == "done"


async def test_in_another_browser_the_code_is_typed(api: Api) -> None:
    browser, other = Browser(api), Browser(api, ip="198.51.100.7")
    await add(browser, NEW)
    mail = await last(api)
    assert await other.confirm(token=mail.token, code="wrong") == "code_invalid"
    assert await other.confirm(token=mail.token, code=mail.code.lower().replace("-", " ")) == "done"
    # Used up, in whatever way.
    assert await browser.confirm(token=mail.token) == "confirmation_invalid"
    assert await other.confirm(email=NEW, code=mail.code) == "code_invalid"


async def test_the_address_with_the_code_confirms_without_the_link(api: Api) -> None:
    browser, other = Browser(api), Browser(api, ip="198.51.100.7")
    await add(browser, NEW)
    mail = await last(api)
    assert await other.confirm(email="other@example.com", code=mail.code) == "code_invalid"
    assert await other.confirm(email="NEW@Example.com", code=mail.code) == "done"


async def test_who_types_the_code_of_a_strangers_mail_gives_the_stranger_nothing(api: Api) -> None:
    """Both have given the address, and both mails are in the mailbox of its owner."""
    owner, stranger = Browser(api), Browser(api, ip="192.0.2.66")
    await add(owner, NEW)
    own = await last(api)
    await add(stranger, NEW, "sahan")
    strangers = await last(api)
    assert await owner.confirm(email=NEW, code=strangers.code) == "code_invalid"
    assert await owner.confirm(email=NEW, code=own.code) == "done"
    assert (NEW, False, False) in await emails_of(api, "sahan")
    assert (NEW, True, False) in await emails_of(api, "lak")


async def test_strangers_who_guess_codes_keep_nobody_out_who_has_the_link(api: Api) -> None:
    browser = Browser(api)
    await add(browser, NEW)
    mail = await last(api)
    for number in range(CODES + 1):
        assert await Browser(api, ip=f"198.51.100.{number}").confirm(email=NEW, code="2222-2222") == "code_invalid"
    assert await Browser(api).confirm(email=NEW, code=mail.code) == "code_invalid"
    assert await Browser(api).confirm(token=mail.token, code=mail.code) == "done"


@pytest.mark.parametrize(
    "body",
    [
        {}, {"code": "2222-2222"}, {"email": NEW}, {"token": "wwe_x", "email": NEW, "code": "2222-2222"},
        {"email": "nobody", "code": "2222-2222"}, {"token": 5}, {"token": "wwe_x", "code": "2" * 101},
        {"email": NEW, "code": "2222-2222", "user_id": "x"}, {"token": None}, {"token": ""},
    ],
)  # fmt: skip
async def test_a_body_that_says_too_little_or_too_much_is_refused(api: Api, body: dict[str, Any]) -> None:
    response = await Browser(api).request("POST", "/email/confirm", json=body)
    assert (await api.problem(response, 422, "invalid_request"))["errors"]


@pytest.mark.parametrize("token", ["wwe_", "wwe_x", "wws_" + "A" * 43, "wwi_AZqn0gxLfhmm-DtdfJ4fJG0v", "\0"])
async def test_what_is_no_token_confirms_nothing(api: Api, token: str) -> None:
    assert await Browser(api).confirm(token=token) == "confirmation_invalid"


async def test_a_link_is_good_for_a_day(api: Api) -> None:
    browser = Browser(api)
    await add(browser, NEW)
    mail = await last(api)
    api.clock.advance(86_400)
    assert await browser.confirm(token=mail.token) == "confirmation_invalid"
    assert await browser.confirm(email=NEW, code=mail.code) == "code_invalid"
    assert await emails_of(api, "lak") == [("lak@example.com", True, True), (NEW, False, False)]


async def test_an_address_that_was_removed_meanwhile_is_not_confirmed(api: Api) -> None:
    browser = Browser(api)
    await add(browser, NEW)
    mail = await last(api)
    path, token = f"/me/emails/{await email_id_of(api, 'lak', NEW)}", await api.token("lak")
    assert (await browser.request("DELETE", path, token)).status == 204
    assert await browser.confirm(token=mail.token) == "confirmation_invalid"
    assert await browser.confirm(email=NEW, code=mail.code) == "code_invalid"
    assert await emails_of(api, "lak") == [("lak@example.com", True, True)]
    # Nothing was used up: it is added again, and the link is for the same address of the same user.
    await add(browser, NEW)
    assert await browser.confirm(token=mail.token) == "done"


async def test_a_confirmed_address_is_the_primary_one_if_no_verified_one_is(api: Api) -> None:
    users, browser = api.services.users, Browser(api)
    await users.add(await users.prepared("john", "John", "customer", PASSWORD, email="old@example.com"))
    await add(browser, NEW, "john")
    assert await browser.confirm(token=(await last(api)).token) == "done"
    assert await emails_of(api, "john") == [("old@example.com", False, False), (NEW, True, True)]
    # An address that is not verified hears nothing.
    assert await kinds(api, "old@example.com") == []
    user = (await users.credentials_of("john")).user
    assert (user.email, user.email_verified_at) == (NEW, api.clock.now_ms())


async def test_the_unverified_primary_address_can_be_confirmed(api: Api) -> None:
    users, browser = api.services.users, Browser(api)
    await users.add(await users.prepared("john", "John", "customer", PASSWORD, email=NEW))
    path = f"/me/emails/{await email_id_of(api, 'john', NEW)}/send"
    assert (await browser.request("POST", path, await api.token("john"))).status == 202
    assert await browser.confirm(token=(await last(api)).token) == "done"
    assert await emails_of(api, "john") == [(NEW, True, True)]


async def test_nobody_learns_that_an_address_is_somebody_elses(api: Api) -> None:
    """OWASP ASVS 5.0, 6.3.8."""
    browser = Browser(api)
    await api.services.users.update(await user_id_of(api, "sahan"), email="Sahan@example.com")
    await api.services.users.create("named@example.com", "Named", "customer", PASSWORD)
    await forget_mails(api)
    token = await api.token("lak")
    answers = []
    for email in ("sahan@example.com", "named@example.com", NEW):
        response = await browser.request("POST", "/me/emails", token, json={"email": email})
        answers.append((response.status, await response.read(), sorted(response.headers)))
    assert answers == [answers[0]] * 3
    assert answers[0][0] == 202
    taken = [(mail.kind, mail.recipient, mail.values) for mail in await mails(api)]
    sign_in = {"path": "/sign-in"}
    assert taken[:2] == [
        ("address-taken", "Sahan@example.com", sign_in),
        ("address-taken", "named@example.com", sign_in),
    ]
    assert [kind for kind, _, _ in taken[2:]] == ["confirm-email"]
    again = await browser.request(
        "POST", f"/me/emails/{await email_id_of(api, 'lak', 'sahan@example.com')}/send", token
    )
    assert again.status == 202
    assert await kinds(api, "Sahan@example.com") == ["address-taken"] * 2


@pytest.mark.parametrize("way", ["address", "username"])
async def test_an_address_that_has_become_somebody_elses_is_not_confirmed(api: Api, way: str) -> None:
    browser = Browser(api)
    await add(browser, NEW)
    mail, sahan = await last(api), await user_id_of(api, "sahan")
    if way == "address":
        await api.services.users.update(sahan, email="NEW@example.com")
    else:
        await api.services.users.rename(sahan, NEW)
    for _ in range(2):
        assert await browser.confirm(token=mail.token) == "email_taken"
    assert await emails_of(api, "lak") == [("lak@example.com", True, True), (NEW, False, False)]
    # The link is not used up by that.
    if way == "address":
        await api.services.users.update(sahan, email=None)
    else:
        await api.services.users.rename(sahan, "sahan")
    assert await browser.confirm(token=mail.token) == "done"


async def test_ones_own_address_is_mailed_to_again_until_it_is_verified(api: Api) -> None:
    browser = Browser(api)
    for email in (NEW, "NEW@Example.com"):
        await add(browser, email)
    assert await emails_of(api, "lak") == [("lak@example.com", True, True), (NEW, False, False)]
    first, second = await mails(api)
    assert (first.recipient, second.recipient) == (NEW, "NEW@example.com")
    # Both links are good, until one is used.
    assert await browser.confirm(token=first.token) == "done"
    assert await browser.confirm(token=second.token) == "done"
    assert len(await events(api, "email_confirmed")) == len(await events(api, "email_added")) == 1
    before = await mails(api)
    await add(browser, NEW)
    await add(browser, "LAK@example.com")
    assert await mails(api) == before
    path, token = f"/me/emails/{await email_id_of(api, 'lak', NEW)}/send", await api.token("lak")
    await api.problem(await browser.request("POST", path, token), 409, "email_already_verified")


async def test_only_ones_own_addresses_are_mailed_to(api: Api) -> None:
    browser = Browser(api)
    await add(browser, NEW)
    token = await api.token("sahan")
    for email_id in (await email_id_of(api, "lak", NEW), id_of(1), "1"):
        response = await browser.request("POST", f"/me/emails/{email_id}/send", token)
        await api.problem(response, 404, "not_found")
    assert len(await mails(api)) == 1


async def test_a_user_adds_so_many_addresses(start_api: StartApi) -> None:
    api = await start_api(**MAIL, limits=LimitSettings(account_mails_per_hour=1000))
    browser, token = Browser(api), await api.token("lak")
    for number in range(10):
        await add(browser, f"new{number}@example.com")
    response = await browser.request("POST", "/me/emails", token, json={"email": NEW})
    await api.problem(response, 409, "too_many_emails")
    # One of them is mailed to as before.
    await add(browser, "new0@example.com")
    assert len(await emails_of(api, "lak")) == 10
    path = f"/me/emails/{await email_id_of(api, 'lak', 'new3@example.com')}"
    assert (await browser.request("DELETE", path, token)).status == 204
    await add(browser, NEW)


async def test_a_user_who_has_asked_for_too_many_mails_is_told(api: Api) -> None:
    browser, token = Browser(api), await api.token("lak")
    await add(browser, NEW)
    path = f"/me/emails/{await email_id_of(api, 'lak', NEW)}/send"
    for _ in range(4):
        assert (await browser.request("POST", path, token)).status == 202
    response = await browser.request("POST", path, token)
    await api.problem(response, 429, "too_many_attempts")
    assert int(response.headers["Retry-After"]) <= 720
    response = await browser.request("POST", "/me/emails", token, json={"email": "other@example.com"})
    await api.problem(response, 429, "too_many_attempts")
    assert len(await emails_of(api, "lak")) == 2
    assert len(await mails(api)) == 5
    # The address has got its mails too, and that is nobody's business.
    await add(browser, NEW, "sahan")
    assert len(await mails(api)) == 5
    api.clock.advance(3600)
    assert (await browser.request("POST", path, await api.token("lak"))).status == 202
    assert len(await mails(api)) == 6


async def test_a_client_asks_for_so_many_mails(start_api: StartApi) -> None:
    api = await start_api(**MAIL, limits=LimitSettings(address_mails_per_hour=2))
    browser, token = Browser(api), await api.token("lak")
    for number in range(2):
        await add(browser, f"new{number}@example.com")
    response = await browser.request("POST", "/me/emails", token, json={"email": NEW})
    await api.problem(response, 429, "too_many_attempts")
    assert len(await emails_of(api, "lak")) == 2
    await add(Browser(api, ip="192.0.2.2"), NEW)


async def test_adding_an_address_asks_for_a_recent_sign_in(api: Api) -> None:
    api.clock.set_wall(-601)
    tokens = await api.log_in("lak")
    api.clock.set_wall(601)
    token = (await refresh(api, tokens["refresh_token"]))["token"]
    response = await Browser(api).request("POST", "/me/emails", token, json={"email": NEW})
    await api.problem(response, 401, "reauthentication_required")
    assert await mails(api) == []


async def test_the_link_works_in_the_browser_of_the_latest_mail(api: Api) -> None:
    first, second = Browser(api), Browser(api, ip="192.0.2.2")
    await add(first, NEW)
    path, token = f"/me/emails/{await email_id_of(api, 'lak', NEW)}/send", await api.token("lak")
    assert (await second.request("POST", path, token)).status == 202
    old, new = await mails(api, NEW)
    assert await first.confirm(token=new.token) == "code_required"
    assert await second.confirm(token=new.token) == "done"
    assert await first.confirm(token=old.token) == "done"


async def test_a_browser_keeps_its_cookie(api: Api) -> None:
    browser = Browser(api)
    await add(browser, NEW)
    cookie = browser.cookie
    await add(browser, "other@example.com")
    assert browser.cookie == cookie
    assert await browser.confirm(token=(await last(api)).token) == "done"
    # What was not made here is not taken over (session fixation, CWE-384).
    browser.cookie = "planted"
    await add(browser, "third@example.com")
    assert browser.cookie not in {cookie, "planted"}
    response = await browser.request("POST", "/me/emails", await api.token("lak"), json={"email": "third@example.com"})
    assert all(part in response.headers["Set-Cookie"] for part in (BROWSER_COOKIE, "Secure", "HttpOnly", "Strict"))


async def test_without_mail_nothing_is_added(start_api: StartApi) -> None:
    api = await start_api()
    browser, token = Browser(api), await api.token("lak")
    response = await browser.request("POST", "/me/emails", token, json={"email": NEW})
    await api.problem(response, 403, "mail_not_configured")
    response = await browser.request("POST", f"/me/emails/{id_of(1)}/send", token)
    await api.problem(response, 403, "mail_not_configured")
    assert await emails_of(api, "lak") == []


async def test_secrets_of_mails_are_not_in_the_store(api: Api) -> None:
    """Whoever reads the store, or a backup of it, confirms nothing."""
    browser = Browser(api)
    await add(browser, NEW)
    mail = await last(api)
    read = api.services.repositories.driver.read
    for rows in (
        await read("SELECT * FROM mails"),
        await read("SELECT * FROM challenges"),
        await read("SELECT * FROM audit_events"),
        await read("SELECT * FROM guesses"),
    ):
        text = " ".join(str(tuple(row)) for row in rows)
        assert text
        for secret in (mail.token, mail.token[4:], mail.code, mail.code.replace("-", ""), browser.cookie):
            assert secret is not None
            assert secret not in text
