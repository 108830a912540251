"""Outboxes of tests: mails in a store, and a sender that a test drives."""

from __future__ import annotations

import asyncio
import email.policy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from server.core.clock import Clock
from server.core.ids import Ids, SystemRandomness
from server.database.driver import Row, Transaction
from server.mail.mailing import Mailing
from server.mail.model import MailKind, NewMail
from server.mail.outbox import Outbox
from server.mail.outbox_model import MailResult
from server.mail.sealing import Sealing
from server.mail.sender import Sender
from server.mail.transport.model import Transport
from server.nodes.model import NodeName
from server.repositories import Repositories
from server.settings import Settings
from server.settings.mail import MailSettings
from tests.clock import FakeClock

MAIL = MailSettings(url="smtp://127.0.0.1", **{"from": "Example <auth@mail.example>"})
KEY = bytes(32)


def invitation(recipient: str = "lak@example.com", **more: Any) -> NewMail:
    return NewMail(MailKind.INVITATION, recipient, {"path": "/invitation#wwi_secret", "days": 7}, **more)


def outbox_on(store: Repositories, clock: Clock, *, mail: MailSettings = MAIL, key: bytes = KEY) -> Outbox:
    ids = Ids(clock, SystemRandomness())
    sealing = Sealing(lambda: key, ids)
    return Outbox(store.mails, sealing, clock, ids, Settings(mail=mail), written=asyncio.Event())


async def put(store: Repositories, outbox: Outbox, *mails: NewMail) -> None:
    """Write these mails in a transaction of their own."""
    writer = outbox.writer()

    async def unit(transaction: Transaction) -> None:
        await writer.put(transaction, *mails)

    await store.driver.write(unit)
    outbox.soon()


async def rows(store: Repositories) -> list[Row]:
    """All mails, the oldest first."""
    return list(await store.driver.read("SELECT * FROM mails ORDER BY id"))


async def states(store: Repositories) -> list[tuple[str, int]]:
    """State and attempts of all mails, the oldest first."""
    return [(row["state"], row["attempts"]) for row in await rows(store)]


class PlainRenderer:
    """Writes what it was given. `failures`: kinds whose templates are broken."""

    def __init__(self) -> None:
        self.failures: dict[MailKind, Exception] = {}

    def render(
        self,
        kind: MailKind,
        language: str,
        values: Mapping[str, str | int],
        *,
        recipient: str,
        message_id: str,
        date_at: int,
    ) -> EmailMessage:
        if kind in self.failures:
            raise self.failures[kind]
        message = EmailMessage(policy=email.policy.SMTP)
        message["From"] = "auth@mail.example"
        message["To"] = recipient
        message["Subject"] = f"{kind} ({language})"
        message["Message-ID"] = message_id
        message["Date"] = format_datetime(datetime.fromtimestamp(date_at / 1000, UTC))
        message.set_content("".join(f"{name}: {value}\n" for name, value in values.items()))
        return message


@dataclass
class Sending:
    """A sender on a store, without its loop: a test says when it looks."""

    store: Repositories
    clock: FakeClock
    transport: Transport
    node: str = "node-a"
    alone: bool = False
    renderer: PlainRenderer = field(default_factory=PlainRenderer)
    counts: Counter[MailResult] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.outbox = outbox_on(self.store, self.clock)
        self.mailing: Mailing | None = Mailing(self.outbox, self.renderer, self.transport)
        self.claims = self.store.mail_claims
        self.sender = self.started()

    def started(self) -> Sender:
        """Another one: the process was started again."""

        def count(result: MailResult) -> None:
            self.counts[result] += 1

        return Sender(
            claims=self.claims,
            mailing=lambda: self.mailing,
            written=self.outbox.written,
            clock=self.clock,
            ids=Ids(self.clock, SystemRandomness()),
            node=NodeName(self.node, "host", 1),
            alone=self.alone,
            count=count,
            pace_seconds=0.0,
        )

    async def put(self, *mails: NewMail) -> None:
        await put(self.store, self.outbox, *mails)

    async def round(self) -> None:
        """Look, and send what is due."""
        await self.sender.look()
        await self.sender.idle()
