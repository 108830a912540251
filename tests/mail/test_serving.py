"""Mails of a whole server, in the process of the test."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from server.database.driver import Transaction
from server.mail.model import NewMail
from server.settings.mail import MailSettings
from tests.mail.mail_server import link_of, mail_server
from tests.mail.outboxes import invitation, rows, states
from tests.running import Api, StartApi


def mail_at(url: str) -> MailSettings:
    return MailSettings(url=url, **{"from": "auth@mail.example"})


async def write(api: Api, *mails: NewMail) -> None:
    """As a service of this server does."""
    outbox = api.live.services.outbox
    writer = outbox.writer()

    async def unit(transaction: Transaction) -> None:
        await writer.put(transaction, *mails)

    await api.services.repositories.driver.write(unit)
    outbox.soon()


def new_invitation(recipient: str) -> NewMail:
    return replace(invitation(recipient), values={"path": "/invitation#wwi_x", "expires_at": 1_790_000_000_000})


async def reload(api: Api, **changes: Any) -> None:
    await api.live.prepare(api.live.services.settings.model_copy(update=changes))
    api.live.take()


async def test_a_mail_that_a_service_writes_arrives_rendered(start_api: StartApi) -> None:
    with mail_server() as server:
        api = await start_api(mail=mail_at(server.url))
        await write(api, new_invitation("john@example.com"))
        mail = await asyncio.to_thread(server.wait_for, "john@example.com")
        assert link_of(mail).endswith("/invitation#wwi_x")
        assert mail.message_id.endswith("@mail.example>")


async def test_a_reload_sends_what_waits_another_way(start_api: StartApi) -> None:
    api = await start_api(mail=mail_at("smtp://127.0.0.1:9"))
    await write(api, new_invitation("john@example.com"))
    await reload(api, mail=MailSettings())
    assert not api.live.services.outbox.enabled
    with mail_server() as server:
        await reload(api, mail=mail_at(server.url))
        await asyncio.to_thread(server.wait_for, "john@example.com")
        await write(api, new_invitation("lak@example.com"))
        await asyncio.to_thread(server.wait_for, "lak@example.com")


async def test_mail_that_was_switched_off_waits(start_api: StartApi) -> None:
    with mail_server() as server:
        api = await start_api(mail=mail_at(server.url))
        before = api.live.services.outbox.writer()
        await reload(api, mail=MailSettings())

        async def unit(transaction: Transaction) -> None:
            await before.put(transaction, new_invitation("john@example.com"))

        await api.services.repositories.driver.write(unit)
        api.services.outbox.soon()
        # It was sent at once if it was on, and this one needs several turns of the loop too.
        assert (await api.request("GET", "/mails", await api.token("sahan"))).status == 200
        assert await states(api.services.repositories) == [("waiting", 0)]
        await reload(api, mail=mail_at(server.url))
        await asyncio.to_thread(server.wait_for, "john@example.com")


async def test_the_end_of_the_server_ends_the_sender(start_api: StartApi) -> None:
    with mail_server() as server:
        api = await start_api(mail=mail_at(server.url))
        await write(api, *(new_invitation(f"user{number}@example.com") for number in range(30)))
        await asyncio.to_thread(server.wait_for)
        await api.client.close()
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "mails"]
        found = await rows(api.services.repositories)
        arrived = [mail.recipient for mail in server.messages]
        assert sorted(arrived) == sorted(row["recipient"] for row in found if row["state"] == "sent")
        assert {row["claim"] for row in found} == {None}
