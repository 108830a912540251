"""What mails are made and sent with, by the settings of this moment. A reload makes another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Protocol

from server.mail.model import MailKind
from server.mail.outbox import Outbox
from server.mail.outbox_model import ClaimedMail
from server.mail.transport.model import OutgoingMail, Transport


class Renderer(Protocol):
    """Fills templates (rendering.py)."""

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
        """The mail, whose date is `date_at` (epoch ms)."""
        ...


@dataclass(frozen=True, slots=True)
class Mailing:
    """Makes mails, and has the way that they go."""

    outbox: Outbox
    renderer: Renderer
    transport: Transport

    def outgoing(self, mail: ClaimedMail) -> OutgoingMail:
        """The mail, as it leaves. Raises Unreadable, StoreUnavailable; anything else is a defect of its template."""
        message = self.renderer.render(
            MailKind(mail.kind),
            mail.language,
            self.outbox.values_of(mail),
            recipient=mail.recipient,
            message_id=mail.message_id,
            date_at=mail.created_at,
        )
        return OutgoingMail(mail.recipient, message)
