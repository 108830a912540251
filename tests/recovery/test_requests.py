"""Asking for a mail: who gets it, where it goes to, and how many there are (OWASP Forgot Password)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from server.background import purge
from server.database.driver import Row, Transaction
from server.settings.mail import MailSettings
from server.settings.tree import LimitSettings
from tests.recovery.asking import (
    ASKING,
    COOKIE,
    MAIL,
    NEW_PASSWORD,
    ask_code,
    browser_of,
    events,
    forgot,
    mailed,
    mails,
    reset,
    verify,
)
from tests.running import Api, StartApi

# Else they are answered once a second, at a moment of its own.
pytestmark = pytest.mark.usefixtures("no_background")


async def test_whose_the_name_is_gets_the_mail(mailing: Api) -> None:
    """At the address that was typed, if it is verified, or else at the primary one."""
    await verify(mailing, "lak", "lak@example.com", "lak@home.example")
    sent = {}
    for name in ("lak", "LAK", "lak@example.com", " Lak@HOME.example "):
        await forgot(mailing, name)
        sent[name] = await mailed(mailing)
    assert {name: mail.recipient for name, mail in sent.items()} == {
        "lak": "lak@example.com",
        "LAK": "lak@example.com",
        "lak@example.com": "lak@example.com",
        " Lak@HOME.example ": "lak@home.example",
    }
    assert {(mail.kind, mail.values["username"], mail.values["minutes"]) for mail in sent.values()} == {
        ("reset-password", "lak", 30)
    }
    assert await events(mailing, "password_reset_requested") == [
        {"target": "lak", "actor": None, "via": "server", "mailed_to": address}
        for address in ("lak@home.example", "lak@example.com", "lak@example.com", "lak@example.com")
    ]


async def test_who_has_to_confirm_an_address_first_gets_no_mail(mailing: Api) -> None:
    """Neither is the account let in: not even by another address, which an older program may have verified."""
    user = (await mailing.services.users.credentials_of("lak")).user
    store, now = mailing.services.repositories, mailing.clock.now_ms()

    async def unit(transaction: Transaction) -> None:
        await store.unconfirmed.add(transaction, user.id, now + 1000)
        await store.emails.lock(transaction)
        assert await store.emails.put(transaction, user.id, "lak@home.example", now, now)

    await store.driver.write(unit)
    for name in ("lak", "lak@home.example"):
        await forgot(mailing, name)
        await ask_code(mailing, name)
    await mailing.services.recovery.resolve()
    assert (await mails(mailing), await rows(mailing, "challenges")) == ([], [])


async def test_who_never_had_a_password_gets_one_by_mail(mailing: Api) -> None:
    await mailing.services.users.create("new", "New", "customer", None)
    await verify(mailing, "new", "new@example.com")
    await forgot(mailing, "new")
    mail = await mailed(mailing)
    assert (await reset(mailing, identifier="new", code=mail.code)).status == 204
    await mailing.log_in("new", NEW_PASSWORD)


async def test_a_code_to_sign_in_with_is_mailed_and_not_audited(mailing: Api) -> None:
    await verify(mailing, "lak", "lak@example.com")
    challenge = await ask_code(mailing, "lak")
    mail = await mailed(mailing)
    assert (mail.kind, mail.recipient, mail.values["minutes"]) == ("sign-in-code", "lak@example.com", 10)
    (row,) = await rows(mailing, "challenges")
    assert (row["id"], row["purpose"]) == (challenge, "sign_in")
    assert await events(mailing, "password_reset_requested") == []


async def rows(api: Api, table: str) -> list[Row]:
    return list(await api.services.repositories.driver.read(f"SELECT * FROM {table}"))  # noqa: S608 - our names


async def test_the_store_has_no_name_that_was_typed(mailing: Api) -> None:
    """It may be a password, typed into the wrong field."""
    await forgot(mailing, "correct horse battery")
    (row,) = await rows(mailing, "mail_requests")
    assert b"horse" not in bytes(row["identifier"])
    assert row["purpose"] == "reset_password"
    await mailing.services.recovery.resolve()
    assert await rows(mailing, "mail_requests") == []


@pytest.mark.parametrize(
    ("spoken", "language"), [("de", "de"), ("en", "en"), ("fr, de;q=0.5", "de"), ("fr", "en"), ("*", "en")]
)
async def test_a_mail_has_the_language_of_who_asks(mailing: Api, spoken: str, language: str) -> None:
    await verify(mailing, "lak", "lak@example.com")
    await forgot(mailing, "lak", headers={"Accept-Language": spoken})
    assert (await mailed(mailing)).language == language


@pytest.mark.parametrize("path", ASKING)
async def test_a_browser_keeps_its_cookie(mailing: Api, path: str) -> None:
    first = await mailing.request("POST", path, json={"identifier": "lak"})
    morsel = first.cookies[COOKIE]
    assert (morsel["path"], morsel["samesite"], morsel["max-age"]) == ("/", "Strict", "604800")
    assert morsel["secure"] is morsel["httponly"] is True
    again = await mailing.request("POST", path, json={"identifier": "lak"}, headers=browser_of(first))
    assert again.cookies[COOKIE].value == morsel.value
    other = await mailing.request("POST", path, json={"identifier": "lak"})
    assert other.cookies[COOKIE].value != morsel.value


@pytest.mark.parametrize("changes", [{"limits": LimitSettings(address_mails_per_hour=3)}])
async def test_a_client_asks_for_so_many_mails_an_hour(mailing: Api) -> None:
    """For whomever, so that it can't flood many people."""
    for name in ("lak", "nobody", "sahan"):
        assert (await forgot(mailing, name)).status == 202
    refused = await forgot(mailing, "lak")
    await mailing.problem(refused, 429, "too_many_attempts")
    assert int(refused.headers["Retry-After"]) <= 1200
    await mailing.problem(
        await mailing.request("POST", "/login/code", json={"identifier": "lak"}), 429, "too_many_attempts"
    )
    assert len(await rows(mailing, "mail_requests")) == 3
    mailing.clock.advance(1200)
    assert (await forgot(mailing, "lak")).status == 202


@pytest.mark.parametrize("changes", [{"limits": LimitSettings(all_mails_per_hour=3)}])
async def test_all_clients_ask_for_so_many_mails_an_hour(mailing: Api) -> None:
    for _ in range(3):
        assert (await forgot(mailing, "lak")).status == 202
    await mailing.problem(await forgot(mailing, "lak"), 429, "too_many_attempts")


async def test_nobody_is_flooded(mailing: Api) -> None:
    """An account gets its mails of an hour, whoever asks for them and by whatever name, and then no more."""
    await verify(mailing, "lak", "lak@example.com", "lak@home.example")
    for name in ("lak", "lak@example.com", "lak@home.example") * 4:
        assert (await forgot(mailing, name)).status == 202
    await mailing.services.recovery.resolve()
    assert len(await mails(mailing)) == 5
    mailing.clock.advance(720)
    await forgot(mailing, "lak")
    await forgot(mailing, "lak")
    await mailing.services.recovery.resolve()
    assert len(await mails(mailing)) == 6


@pytest.mark.parametrize("path", ["/password/forgot", "/login/code"])
@pytest.mark.parametrize("address", ["lak@example.com", "nobody@example.com"])
async def test_asking_uses_up_no_mails_that_confirm_an_address(mailing: Api, path: str, address: str) -> None:
    """Else a sign-up with it would tell afterwards whether it is somebody's, and strangers could keep people out."""
    await verify(mailing, "lak", "lak@example.com")
    most = mailing.services.settings.limits.account_mails_per_hour
    for _ in range(most + 1):
        assert (await mailing.request("POST", path, json={"identifier": address})).status == 202
        await mailing.services.recovery.resolve()

    async def unit(transaction: Transaction) -> list[bool]:
        throttle = mailing.services.throttle
        return [await throttle.confirmation_allowed(transaction, address, None) for _ in range(most + 1)]

    assert await mailing.services.repositories.driver.write(unit) == [True] * most + [False]


async def test_a_request_that_has_waited_for_too_long_is_dropped(mailing: Api) -> None:
    """As after an outage: nobody waits for that mail any more."""
    await verify(mailing, "lak", "lak@example.com")
    await forgot(mailing, "lak")
    mailing.clock.advance(599)
    await forgot(mailing, "lak@example.com")
    mailing.clock.advance(2)
    await mailing.services.recovery.resolve()
    assert len(await mails(mailing)) == 1
    assert await rows(mailing, "mail_requests") == []


async def test_where_mail_was_switched_off_meanwhile_no_request_stays(mailing: Api) -> None:
    await forgot(mailing, "lak")
    mailing.clock.advance(599)
    await purge(mailing.services.repositories, mailing.clock)
    assert len(await rows(mailing, "mail_requests")) == 1
    mailing.clock.advance(2)
    await purge(mailing.services.repositories, mailing.clock)
    assert await rows(mailing, "mail_requests") == []


async def test_a_request_of_a_lost_key_is_dropped(mailing: Api) -> None:
    await verify(mailing, "lak", "lak@example.com")
    await forgot(mailing, "lak")
    await mailing.services.repositories.driver.write_one(
        "UPDATE mail_requests SET identifier = $1", b"\x01" + bytes(40)
    )
    await forgot(mailing, "lak")
    await mailing.services.recovery.resolve()
    assert len(await mails(mailing)) == 1
    assert await rows(mailing, "mail_requests") == []


async def test_a_defect_costs_one_mail_and_not_those_behind_it(mailing: Api) -> None:
    await verify(mailing, "lak", "lak@example.com")
    await forgot(mailing, "lak")
    await mailing.services.repositories.driver.write_one("UPDATE mail_requests SET purpose = 'unheard of'")
    await forgot(mailing, "lak")
    await mailing.services.recovery.resolve()
    assert len(await mails(mailing)) == 1
    assert await rows(mailing, "mail_requests") == []


async def test_two_nodes_answer_each_request_once(start_api: StartApi, store_url: str) -> None:
    api = await start_api(mail=MAIL, limits=LimitSettings(account_mails_per_hour=1000))
    if store_url.startswith("sqlite"):
        resolvers = [api.services.recovery.resolver] * 2
    else:
        other = await start_api(mail=MAIL, limits=LimitSettings(account_mails_per_hour=1000))
        resolvers = [api.services.recovery.resolver, other.services.recovery.resolver]
    await verify(api, "lak", "lak@example.com")
    asked = [await ask_code(api, "lak") for _ in range(20)]
    await asyncio.gather(*(resolver.resolve() for resolver in resolvers * 2))
    await api.services.recovery.resolve()
    found = await mails(api)
    assert len(found) == 20
    assert len({mail.code for mail in found}) == 20
    assert {row["id"] for row in await rows(api, "challenges")} == set(asked)


@pytest.mark.parametrize("path", ASKING)
async def test_without_mail_nobody_asks_for_one(start_api: StartApi, path: str) -> None:
    api = await start_api()
    response = await api.request("POST", path, json={"identifier": "lak"})
    await api.problem(response, 403, "mail_not_configured")


async def test_codes_to_sign_in_with_are_off_by_default(start_api: StartApi) -> None:
    api = await start_api(mail=MailSettings(url=MAIL.url, **{"from": MAIL.sender}))
    await api.problem(await api.request("POST", "/login/code", json={"identifier": "lak"}), 403, "sign_in_codes_off")
    body = {"challenge": api.services.ids.new_id(), "code": "2222-2222"}
    await api.problem(await api.request("POST", "/login/code/confirm", json=body), 403, "sign_in_codes_off")
    assert (await forgot(api, "lak")).status == 202


@pytest.mark.parametrize("path", ASKING)
@pytest.mark.parametrize(
    "body",
    [{}, {"identifier": ""}, {"identifier": " \t"}, {"identifier": "a" * 321}, {"identifier": 1}, {"email": "x"}],
)
async def test_a_body_without_a_name_is_refused(mailing: Api, path: str, body: dict[str, Any]) -> None:
    await mailing.problem(await mailing.request("POST", path, json=body), 422, "invalid_request")


@pytest.mark.parametrize("name", ["a" * 320, "é" * 320, "\u0000", "😀", "lak@example.com\r\nBcc: a@b.example"])
async def test_whatever_somebody_types_is_a_name(mailing: Api, name: str) -> None:
    assert (await forgot(mailing, name)).status == 202
    await mailing.services.recovery.resolve()
    assert (await mails(mailing), await rows(mailing, "mail_requests")) == ([], [])
