"""Notices: users hear of what was done to their accounts, at verified addresses, in the transaction of the change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import orjson
import pytest

from server.app import open_services
from server.background import purge
from server.core.client import Client
from server.database.driver import Transaction
from server.mail.known_clients import REMEMBERED_MS
from server.mail.notices import MOST_A_DAY
from server.services import Services
from server.settings.mail import MailSettings
from server.settings.tree import ServerSettings
from tests.clock import FakeClock
from tests.running import PASSWORD, settings_with

LAK, OTHER = "lak@example.com", "other@example.com"
DAY_MS = 86_400_000
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
NEW_PASSWORD = "seven purple lamps in the harbour"
HOME = Client("192.0.2.1", FIREFOX)
Open = Callable[..., Awaitable["Scene"]]


class Scene:
    """Services without a server, so that nothing is sent; the customer `lak` has a verified address."""

    def __init__(self, services: Services, clock: FakeClock) -> None:
        self.services = services
        self.clock = clock
        self._read: set[str] = set()

    async def id(self) -> str:
        return (await self.services.users.find("lak")).user.id

    async def news(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Kind, recipient and values of the mails that were written since the last time."""
        rows = await self.services.repositories.driver.read(
            "SELECT id, kind, recipient, user_id, content FROM mails ORDER BY created_at, id"
        )
        seal = self.services.outbox._sealing.current()
        new = [row for row in rows if row["id"] not in self._read]
        self._read.update(row["id"] for row in new)
        assert {row["user_id"] for row in new} <= {await self.id()}
        return [
            (row["kind"], row["recipient"], orjson.loads(seal.unseal(bytes(row["content"]), row["id"]))) for row in new
        ]

    async def sign_in(self, client: Client, cookie: str | None = None, password: str = PASSWORD) -> str:
        """The device cookie that the browser has afterwards."""
        self.clock.advance(1)
        services = self.services
        async with services.authentication.log_in("lak", password, client.ip, cookie) as authenticated:
            await services.sessions.open(authenticated, client)
            return services.authentication.device_cookie(authenticated)

    async def seen(self) -> int:
        rows = await self.services.repositories.driver.read("SELECT count(*) AS count FROM known_clients")
        return int(rows[0]["count"])


@pytest.fixture
async def begin(store_url: str) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def begin_it(**mail: Any) -> Scene:
            clock = FakeClock()
            settings = settings_with(
                store_url,
                server=ServerSettings(public_url="https://auth.example.com"),
                mail=MailSettings.model_validate({"url": "file:///mails", "from": "auth@example.com"} | mail),
            )
            opening = open_services(settings, serving=True, clock=clock)
            services = await stack.enter_async_context(opening)
            await services.users.create("lak", "Lak", "customer", PASSWORD, email=LAK)
            return Scene(services, clock)

        yield begin_it


@pytest.fixture
async def scene(begin: Open) -> Scene:
    return await begin()


async def test_who_has_a_new_password_hears_of_it_whoever_has_set_it(scene: Scene) -> None:
    passwords, user_id = scene.services.user_passwords, await scene.id()
    told = ("password-changed", LAK, {"path": "/sign-in", "username": "lak", "at": scene.clock.now_ms()})
    await passwords.change(user_id, None, PASSWORD, NEW_PASSWORD)
    assert await scene.news() == [told]
    await passwords.reset(await passwords.request_reset(user_id), PASSWORD, "192.0.2.1")
    assert await scene.news() == [told]
    await passwords.replace(await scene.services.users.find("lak"), NEW_PASSWORD)
    assert await scene.news() == [told]


async def test_a_password_that_was_not_set_is_no_news(scene: Scene) -> None:
    passwords, user_id = scene.services.user_passwords, await scene.id()
    before = await scene.services.users.find("lak")
    await passwords.replace(before, NEW_PASSWORD)
    await scene.news()
    assert not await passwords.set_hash(before, "another")
    assert (await scene.services.users.get(user_id)).username == "lak"
    assert await scene.news() == []


async def test_the_former_primary_address_hears_of_the_new_one(scene: Scene) -> None:
    services, user_id = scene.services, await scene.id()
    values = {"path": "/account", "username": "lak"}
    await services.users.update(user_id, email=OTHER)
    assert await scene.news() == [("primary-changed", LAK, values | {"email": OTHER})]
    await services.users.update(user_id, name="Lak Moore")
    await services.users.update(user_id, email=OTHER)
    assert await scene.news() == []
    await services.users.update(user_id, email=None)
    assert await scene.news() == [("primary-changed", OTHER, values | {"email": ""})]
    await services.users.update(user_id, email=LAK)
    # There was no address that could hear of it.
    assert await scene.news() == []


async def verified(scene: Scene, email: str) -> str:
    """The id of another verified address of lak."""
    user_id = await scene.id()

    async def unit(transaction: Transaction) -> None:
        await scene.services.repositories.emails.lock(transaction)
        assert await scene.services.repositories.emails.put(transaction, user_id, email, 5, 5)

    await scene.services.repositories.driver.write(unit)
    return next(one.id for one in await scene.services.emails.list(user_id) if one.email == email)


async def test_users_who_change_their_own_primary_address_hear_of_it_at_the_former_one(scene: Scene) -> None:
    services, user_id = scene.services, await scene.id()
    other = await verified(scene, OTHER)
    first = next(one.id for one in await services.emails.list(user_id) if one.email == LAK)
    values = {"path": "/account", "username": "lak"}
    await services.emails.make_primary(user_id, other)
    assert await scene.news() == [("primary-changed", LAK, values | {"email": OTHER})]
    await services.emails.make_primary(user_id, other)
    assert await scene.news() == []
    await services.emails.remove(user_id, other)
    assert await scene.news() == [("primary-changed", OTHER, values | {"email": LAK})]
    other = await verified(scene, OTHER)
    await services.emails.remove(user_id, other)
    assert await scene.news() == []
    await services.emails.remove(user_id, first)
    assert await scene.news() == [("primary-changed", LAK, values | {"email": ""})]


async def test_an_address_that_nobody_has_confirmed_gets_no_notice(scene: Scene) -> None:
    user_id = await scene.id()
    sql = "UPDATE users SET email_verified_at = NULL WHERE id = $1"
    await scene.services.repositories.driver.write_one(sql, user_id)
    await scene.services.user_passwords.change(user_id, None, PASSWORD, NEW_PASSWORD)
    await scene.sign_in(HOME, password=NEW_PASSWORD)
    await scene.sign_in(Client("198.51.100.7", FIREFOX), password=NEW_PASSWORD)
    await scene.services.users.update(user_id, email=OTHER)
    assert await scene.news() == []


async def test_a_sign_in_on_a_device_that_was_never_seen_is_news(scene: Scene) -> None:
    cookie = await scene.sign_in(HOME)
    assert await scene.news() == []
    await scene.sign_in(HOME)
    # Another network, with the cookie of this browser.
    await scene.sign_in(Client("198.51.100.7", FIREFOX), cookie)
    assert await scene.news() == []
    away = Client("203.0.113.9", "curl/8.14.1")
    await scene.sign_in(away)
    assert await scene.news() == [
        (
            "new-sign-in",
            LAK,
            {
                "path": "/account",
                "username": "lak",
                "at": scene.clock.now_ms(),
                "ip": "203.0.113.9",
                "user_agent": "curl/8.14.1",
            },
        )
    ]
    await scene.sign_in(away)
    await scene.sign_in(Client("198.51.100.7", FIREFOX))
    assert await scene.news() == []
    for client in (Client("203.0.113.9", FIREFOX), Client("192.0.2.1", None), Client(None, None)):
        await scene.sign_in(client)
        ((kind, _, values),) = await scene.news()
        assert kind == "new-sign-in"
        assert (values["ip"], values["user_agent"]) == (client.ip or "", client.user_agent or "")


async def test_only_news_wake_the_sender(scene: Scene) -> None:
    written = scene.services.outbox.written
    await scene.sign_in(HOME)
    await scene.sign_in(HOME)
    await scene.services.users.update(await scene.id(), name="Lak Moore")
    assert not written.is_set()
    await scene.sign_in(Client("203.0.113.9", FIREFOX))
    assert written.is_set()


async def test_a_cookie_of_another_account_makes_no_device_known(scene: Scene) -> None:
    services = scene.services
    await services.users.create("sahan", "Sahan", "customer", PASSWORD)
    async with services.authentication.log_in("sahan", PASSWORD, None) as authenticated:
        cookie = services.authentication.device_cookie(authenticated)
    await scene.sign_in(HOME)
    await scene.sign_in(Client("203.0.113.9", FIREFOX), cookie)
    assert [kind for kind, *_ in await scene.news()] == ["new-sign-in"]


async def test_of_ipv6_the_network_counts(scene: Scene) -> None:
    await scene.sign_in(Client("2001:db8:0:1::5", FIREFOX))
    await scene.sign_in(Client("2001:db8:0:1:aaaa::7", FIREFOX))
    assert await scene.news() == []
    await scene.sign_in(Client("2001:db8:0:2::5", FIREFOX))
    assert len(await scene.news()) == 1


async def test_a_device_is_remembered_for_90_days_and_a_dormant_account_still_hears(scene: Scene) -> None:
    away = Client("203.0.113.9", FIREFOX)
    await scene.sign_in(HOME)
    await scene.sign_in(away)
    await scene.news()
    for _ in range(2):
        scene.clock.advance(REMEMBERED_MS // 1000 - 60)
        await scene.sign_in(away)
        await purge(scene.services.repositories, scene.clock)
        assert await scene.news() == []
    assert await scene.seen() == 1
    scene.clock.advance(REMEMBERED_MS // 1000 + 3600)
    await purge(scene.services.repositories, scene.clock)
    # Nothing tells who has signed in before, but that somebody has.
    assert await scene.seen() == 1
    await scene.sign_in(HOME)
    await scene.sign_in(away)
    assert len(await scene.news()) == 2


async def test_what_is_not_remembered_any_more_is_deleted_without_a_sign_in(scene: Scene) -> None:
    away = Client("203.0.113.9", FIREFOX)
    await scene.sign_in(HOME)
    scene.clock.advance(3 * DAY_MS // 1000)
    await scene.sign_in(away)
    assert await scene.seen() == 2
    scene.clock.advance(REMEMBERED_MS // 1000 - 3 * DAY_MS // 1000 - 60)
    await purge(scene.services.repositories, scene.clock)
    assert await scene.seen() == 2
    scene.clock.advance(120)
    await purge(scene.services.repositories, scene.clock)
    assert await scene.seen() == 1


async def test_an_account_gets_five_such_mails_a_day(scene: Scene) -> None:
    """So nobody who has the password floods the mailbox of its owner."""
    await scene.sign_in(HOME)
    for number in range(MOST_A_DAY + 3):
        await scene.sign_in(Client(f"203.0.113.{number}", FIREFOX))
    assert len(await scene.news()) == MOST_A_DAY
    scene.clock.advance(DAY_MS // 1000)
    for number in range(MOST_A_DAY + 3):
        await scene.sign_in(Client(f"198.51.100.{number}", FIREFOX))
    assert len(await scene.news()) == MOST_A_DAY


async def test_a_setting_takes_these_away_and_keeps_the_others(begin: Open) -> None:
    scene = await begin(sign_in_notices=False)
    await scene.sign_in(HOME)
    await scene.sign_in(Client("203.0.113.9", FIREFOX))
    assert (await scene.news(), await scene.seen()) == ([], 0)
    await scene.services.user_passwords.change(await scene.id(), None, PASSWORD, NEW_PASSWORD)
    assert [kind for kind, *_ in await scene.news()] == ["password-changed"]


async def test_without_mail_nothing_is_recorded(begin: Open) -> None:
    scene = await begin(url="")
    await scene.sign_in(HOME)
    await scene.sign_in(Client("203.0.113.9", FIREFOX))
    await scene.services.users.update(await scene.id(), email=OTHER)
    await scene.services.user_passwords.change(await scene.id(), None, PASSWORD, NEW_PASSWORD)
    assert (await scene.news(), await scene.seen()) == ([], 0)
