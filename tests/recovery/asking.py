"""A server that mails, whose mails are read from its store: what a mailbox gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
import orjson

from server.database.driver import Transaction
from server.mail.sealing import Sealing
from server.settings.mail import MailSettings
from server.users.model import Credentials
from tests.running import Api

# Nobody listens there, so the mails stay in the store.
MAIL = MailSettings(url="smtp://127.0.0.1:9", sign_in_codes=True, **{"from": "auth@mail.example"})
NEW_PASSWORD = "seven lamps under the bridge"
COOKIE = "__Host-watchword-browser"
# Where a name is enough to ask for a mail.
ASKING = ("/password/forgot", "/login/code")


@dataclass(frozen=True)
class Mailed:
    """A mail: what its templates are filled with."""

    kind: str
    recipient: str
    language: str
    values: Mapping[str, Any]

    @property
    def code(self) -> str:
        return str(self.values["code"])

    @property
    def token(self) -> str:
        return str(self.values["path"]).partition("#")[2]


async def mails(api: Api) -> list[Mailed]:
    """All mails of the store, in the order of their milliseconds."""
    services = api.services
    sealing = Sealing(partial(services.keys.current.token_key, "mail"), services.ids)
    rows = await services.repositories.driver.read("SELECT * FROM mails ORDER BY id")
    return [
        Mailed(
            row["kind"],
            row["recipient"],
            row["language"],
            orjson.loads(sealing.current().unseal(bytes(row["content"]), row["id"])),
        )
        for row in rows
    ]


async def verify(api: Api, username: str, primary: str, *others: str) -> Credentials:
    """Give a user verified addresses."""
    user = (await api.services.users.credentials_of(username)).user
    await api.services.users.update(user.id, email=primary)
    emails, now = api.services.repositories.emails, api.clock.now_ms()

    async def unit(transaction: Transaction) -> None:
        await emails.lock(transaction)
        for other in others:
            assert await emails.put(transaction, user.id, other, now, now)

    await api.services.repositories.driver.write(unit)
    return await api.services.users.credentials_of(username)


async def forgot(api: Api, identifier: str, **options: Any) -> aiohttp.ClientResponse:
    return await api.request("POST", "/password/forgot", json={"identifier": identifier}, **options)


async def ask_code(api: Api, identifier: str, **options: Any) -> str:
    """The challenge of POST /login/code."""
    response = await api.request("POST", "/login/code", json={"identifier": identifier}, **options)
    assert response.status == 202, await response.text()
    challenge: str = (await response.json())["challenge"]
    return challenge


async def mailed(api: Api) -> Mailed:
    """The newest mail, after all requests were answered."""
    # Ids sort by their milliseconds.
    api.clock.advance(0.001)
    await api.services.recovery.resolve()
    return (await mails(api))[-1]


async def reset(
    api: Api, new_password: str = NEW_PASSWORD, browser: Mapping[str, str] | None = None, **fields: str
) -> aiohttp.ClientResponse:
    body = {**fields, "new_password": new_password}
    return await api.request("POST", "/password/reset", json=body, headers=browser or {})


async def confirm(api: Api, browser: Mapping[str, str] | None = None, **fields: Any) -> aiohttp.ClientResponse:
    return await api.request("POST", "/login/code/confirm", json=fields, headers=browser or {})


async def events(api: Api, event: str) -> list[dict[str, Any]]:
    """The audit records of that event, the newest first, without what differs each time."""
    records = await api.services.audit.page(limit=50, event=event)
    return [
        {
            "target": record.target_name,
            "actor": record.actor_name,
            "via": record.via,
            **orjson.loads(record.after or "{}"),
        }
        for record in records
    ]


def browser_of(response: aiohttp.ClientResponse) -> dict[str, str]:
    """The header by which the browser that got this answer is known. The client sends no secure cookies itself."""
    return {"Cookie": f"{COOKIE}={response.cookies[COOKIE].value}"}
