"""Servers of tests that mail, what waits in their outbox, and browsers with the cookie of who has asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from multidict import CIMultiDict

from server.sessions.cookies import BROWSER_COOKIE
from server.settings.mail import MailSettings
from server.settings.tree import RegistrationSettings, ServerSettings
from tests.running import Api

ORIGIN = "https://auth.example.com"
# Nobody listens there: these tests look at what waits.
MAIL: dict[str, Any] = {
    "mail": MailSettings(url="smtp://127.0.0.1:9", sign_in_notices=False, **{"from": "auth@mail.example"}),
    "server": ServerSettings(public_url=ORIGIN, trusted_proxies=("127.0.0.0/8",)),
}
OPEN: dict[str, Any] = MAIL | {"registration": RegistrationSettings(mode="open")}
BY_INVITATION: dict[str, Any] = MAIL | {"registration": RegistrationSettings(mode="invitation")}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A mail in the outbox."""

    kind: str
    recipient: str
    language: str
    give_up_at: int
    values: dict[str, Any]

    @property
    def token(self) -> str:
        """What stands behind the # of its link."""
        token: str = self.values["path"].partition("#")[2]
        assert token
        return token

    @property
    def code(self) -> str:
        code: str = self.values["code"]
        return code


async def mails(api: Api, recipient: str | None = None) -> list[Waiting]:
    """All mails, or those to an address, the oldest first."""
    seal = api.services.outbox._sealing.current()
    rows = await api.services.repositories.driver.read("SELECT * FROM mails ORDER BY id")
    found = [
        Waiting(
            row["kind"],
            row["recipient"],
            row["language"],
            row["give_up_at"],
            orjson.loads(seal.unseal(bytes(row["content"]), row["id"])),
        )
        for row in rows
    ]
    return [mail for mail in found if recipient in {None, mail.recipient}]


async def kinds(api: Api, recipient: str) -> list[str]:
    return [mail.kind for mail in await mails(api, recipient)]


@dataclass
class Browser:
    """One that keeps the browser cookie, at a client address of its own."""

    api: Api
    ip: str = "192.0.2.1"
    cookie: str | None = None

    async def request(self, method: str, path: str, token: str | None = None, **options: Any) -> aiohttp.ClientResponse:
        # So that what is made later has a later id.
        self.api.clock.advance(0.001)
        self.api.client.session.cookie_jar.clear()
        headers: CIMultiDict[str] = CIMultiDict(options.pop("headers", {}))
        headers["X-Forwarded-For"] = self.ip
        if self.cookie is not None:
            headers["Cookie"] = f"{BROWSER_COOKIE}={self.cookie}"
        response = await self.api.request(method, path, token, headers=headers, **options)
        if BROWSER_COOKIE in response.cookies:
            self.cookie = response.cookies[BROWSER_COOKIE].value
        return response

    async def confirm(self, **body: str) -> str:
        """Confirm an address: "done", or the code of the refusal."""
        response = await self.request("POST", "/email/confirm", json=body)
        if response.status == 204:
            assert await response.read() == b""
            return "done"
        code: str = (await response.json())["code"]
        return code


async def events(api: Api, event: str) -> list[dict[str, Any]]:
    """The records of that event, the newest first."""
    response = await api.request("GET", f"/audit?event={event}", await api.token("sahan"))
    found: list[dict[str, Any]] = (await response.json())["events"]
    return found


async def user_id_of(api: Api, username: str) -> str:
    return (await api.services.users.credentials_of(username)).user.id


async def emails_of(api: Api, username: str) -> list[tuple[str, bool, bool]]:
    """Address, verified, primary."""
    found = await api.services.emails.list(await user_id_of(api, username))
    return [(email.email, email.verified, email.primary) for email in found]
