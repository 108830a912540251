"""Confirmations at the same moment, also with two servers on one store: an address has one owner, a link works once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable

import pytest

from server.core.errors import ApiError
from tests.emails.mailed import MAIL, OPEN, Browser, Waiting, emails_of, events, mails, user_id_of
from tests.running import PASSWORD, Api, StartApi

ROUNDS = 4
NEW = "new@example.com"


@pytest.fixture
async def servers(start_api: StartApi, store_url: str) -> list[Api]:
    """On SQLite one, since it is a file of one server."""
    return [await start_api(**MAIL) for _ in range(1 if store_url.startswith("sqlite") else 2)]


async def ask(api: Api, username: str, email: str) -> tuple[Browser, Waiting]:
    """The user adds the address; the browser, and the mail."""
    browser = Browser(api)
    response = await browser.request("POST", "/me/emails", await api.token(username), json={"email": email})
    assert response.status == 202
    return browser, (await mails(api, email))[-1]


async def outcome(call: Awaitable[object]) -> str:
    try:
        await call
    except ApiError as refused:
        return refused.code
    return "done"


async def test_of_two_users_who_confirm_one_address_one_gets_it(servers: list[Api]) -> None:
    first, last = servers[0], servers[-1]
    for number in range(ROUNDS):
        email = f"new{number}@example.com"
        lak, to_lak = await ask(first, "lak", email)
        sahan, to_sahan = await ask(last, "sahan", email.upper().replace("EXAMPLE.COM", "example.com"))
        outcomes = await asyncio.gather(lak.confirm(token=to_lak.token), sahan.confirm(token=to_sahan.token))
        assert sorted(outcomes) == ["done", "email_taken"]
        having = [
            name
            for name in ("lak", "sahan")
            if any(address.lower() == email and verified for address, verified, _ in await emails_of(first, name))
        ]
        assert having == ["lak" if outcomes[0] == "done" else "sahan"]
        first.clock.advance(3600)
        last.clock.advance(3600)


async def test_a_link_that_is_pressed_several_times_at_once_works_once(servers: list[Api]) -> None:
    browser, mail = await ask(servers[0], "lak", NEW)
    others = [Browser(api, cookie=browser.cookie) for api in servers * 4]
    outcomes = Counter(await asyncio.gather(*(other.confirm(token=mail.token) for other in others)))
    assert outcomes == {"done": 1, "confirmation_invalid": len(others) - 1}
    assert len(await events(servers[0], "email_confirmed")) == 1


async def test_a_name_an_address_of_an_admin_and_a_confirmation_of_one_address_exclude_each_other(
    servers: list[Api],
) -> None:
    first, last = servers[0], servers[-1]
    users = last.services.users
    admin = await user_id_of(first, "sahan")
    for number in range(ROUNDS):
        email = f"new{number}@example.com"
        browser, mail = await ask(first, "lak", email)
        other = (await users.create(f"other{number}", "Other", "customer", PASSWORD)).user
        confirmed, renamed, given = await asyncio.gather(
            browser.confirm(token=mail.token),
            outcome(users.rename(other.id, email)),
            outcome(users.update(admin, email=email)),
        )
        assert [confirmed, renamed, given].count("done") == 1
        assert {confirmed, renamed, given} <= {"done", "email_taken", "username_taken"}
        first.clock.advance(3600)
        last.clock.advance(3600)


async def test_of_two_accounts_that_register_one_address_one_is_confirmed(start_api: StartApi, store_url: str) -> None:
    servers = [await start_api(**OPEN) for _ in range(1 if store_url.startswith("sqlite") else 2)]
    browsers = [Browser(servers[0]), Browser(servers[-1], ip="192.0.2.2")]
    for number, browser in enumerate(browsers):
        body = {"username": f"user{number}", "name": "User", "password": PASSWORD, "email": NEW}
        assert (await browser.request("POST", "/sign-up", json=body)).status == 201
        for api in servers:
            api.clock.advance(5)
    first, second = await mails(servers[0], NEW)
    outcomes = await asyncio.gather(browsers[0].confirm(token=first.token), browsers[1].confirm(token=second.token))
    assert sorted(outcomes) == ["done", "email_taken"]
    for number, said in enumerate(outcomes):
        body = {"username": f"user{number}", "password": PASSWORD}
        response = await browsers[number].request("POST", "/login", json=body)
        assert response.status == (200 if said == "done" else 403)
