"""Sending mails in tests of the transport."""

from __future__ import annotations

import email.policy
from email.message import EmailMessage

from server.mail.transport.model import OutgoingMail, Sending, Transport
from server.mail.transport.smtp import SmtpTransport
from server.mail.transport.smtp_connection import Limits
from server.settings.mail import MailServer, mail_place

SENDER = "auth@example.com"
LAK = "lak@example.com"
# A server of the tests answers at once, or never.
SHORT = Limits(0.3, 0.3, 0.6, 0.3, 0.2)


def outgoing(recipient: str = LAK, text: str = "Hello\n", number: int = 1) -> OutgoingMail:
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"] = SENDER
    message["To"] = recipient
    message["Subject"] = f"Mail {number}"
    message["Message-ID"] = f"<{number}@example.com>"
    message.set_content(text)
    return OutgoingMail(recipient, message)


def transport_to(url: str, limits: Limits | None = None, own_name: str = "") -> SmtpTransport:
    server = mail_place(url)
    assert isinstance(server, MailServer)
    return SmtpTransport(server, SENDER, own_name, limits)


async def sent(transport: Transport, *mails: OutgoingMail) -> list[Sending]:
    """How these mails ended, in one session."""
    async with transport.session() as session:
        return [await session.send(mail) for mail in mails]
