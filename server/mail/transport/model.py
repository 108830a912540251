"""How a mail leaves this server: what a way to send mails offers, and how an attempt ends."""

from __future__ import annotations

import email.policy
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from email.generator import BytesGenerator
from email.message import EmailMessage
from enum import StrEnum
from io import BytesIO
from typing import Protocol

# No call of `MailSession.send` takes longer: 30 to open a connection and log in, 30 for the mail, and 60 for the last
# reply, since who gives up there sends it again.
LONGEST_SEND_SECONDS = 120
# Nor does the end of a session.
LONGEST_CLOSE_SECONDS = 5


class Outcome(StrEnum):
    """How an attempt to send one mail ended."""

    # The server has taken the mail, and answers for it from now on.
    SENT = "sent"
    # It refuses this mail, and would again (a reply 5yz, RFC 5321 section 4.2.1).
    REFUSED = "refused"
    # It refuses this mail for now (4yz), or the connection was lost on the way, and then it may have the mail.
    LATER = "later"
    # No mail can be sent now: no connection, no TLS, a certificate that is refused, no login. This mail was not tried.
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Sending:
    """How an attempt ended. `reason` is one printable line without secrets; empty if the mail was sent."""

    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True)
class OutgoingMail:
    """A mail that is ready to leave. `recipient` is the address as it is kept, its domain in U-labels."""

    recipient: str
    message: EmailMessage

    def as_bytes(self, *, utf8: bool) -> bytes:
        """The mail in seven bits, which every server takes; with `utf8`, its headers as RFC 6532 has them."""
        policy = (email.policy.SMTPUTF8 if utf8 else email.policy.SMTP).clone(cte_type="7bit")
        written = BytesIO()
        BytesGenerator(written, mangle_from_=False, policy=policy).flatten(self.message)
        return written.getvalue()


class MailSession(Protocol):
    """A conversation with the server. It connects at the first mail, and again when a connection has ended."""

    async def send(self, mail: OutgoingMail) -> Sending:
        """How it ended; raises nothing of its own. One mail at a time."""
        ...


class Transport(Protocol):
    """A way to send mails."""

    def session(self) -> AbstractAsyncContextManager[MailSession]:
        """For mails that leave one after the other. Its end says goodbye to the server; it raises nothing."""
        ...
