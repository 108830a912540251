"""What has to work before a mail arrives, step by step: for `mail test` and `doctor`."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from pathlib import Path

from server.core.clock import rfc3339
from server.core.ids import Ids
from server.mail.transport.folder import FolderTransport
from server.mail.transport.mailbox import smtp_address
from server.mail.transport.model import Outcome, OutgoingMail
from server.mail.transport.transports import smtp_transport_of
from server.settings import Settings
from server.settings.mail import MailServer

# The last one, to a server.
MESSAGE = "message"
# What to do when a step fails. docs/mail.md says more.
_REMEDIES = {
    "connection": "look at host and port in mail.url (587 goes with smtp://, 465 with smtps://), and at firewalls",
    "TLS": "mail.url needs the name that the certificate has; SSL_CERT_FILE can name an authority of your own",
    "login": "look at user and password in mail.url, with special characters as %40; some providers have app passwords",
    "sender": "mail.from has to be an address that this server may send from",
    "recipient": "try an address of your own; if it is right, this server may not pass mail on to others",
    MESSAGE: "the words of the mail server say why; docs/mail.md tells of SPF, DKIM and DMARC",
    "folder": "make a folder that the user of the server may write into",
}
# The same for reasons with these words, which say more than the step.
_REMEDIES_BY_WORDS = {
    "certificate has expired": "renew it on the mail server; or the clock of this machine is wrong",
    "wrong version number": "smtps:// goes with port 465, smtp:// with 587 and 25",
    "offers no login": "leave user and password out of mail.url if the server wants none, or try port 587",
}
_NOT_NOW = "the server says that it may take it later, as many do for a sender that they don't know; try it again"


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was made. One that failed has a remedy, and is the last."""

    name: str
    text: str
    remedy: str | None = None
    # In epoch milliseconds; of the step `TLS`.
    certified_until: int | None = None


def steps(settings: Settings, ids: Ids, mail: OutgoingMail | None) -> AbstractAsyncContextManager[AsyncIterator[Step]]:
    """Each step to send `mail`; without one, those that send nothing. `mail.url` is not empty.

    The end of the context ends the connection, also in the middle.
    """
    place = settings.mail.place
    return aclosing(_folder(place, ids, mail) if isinstance(place, Path) else _server(settings, place, mail))


async def _folder(folder: Path, ids: Ids, mail: OutgoingMail | None) -> AsyncGenerator[Step, None]:
    if mail is not None:
        ended = await FolderTransport(folder, ids).send(mail)
        if ended.outcome is not Outcome.SENT:
            yield _failed("folder", ended.reason)
        else:
            yield Step("folder", f"the mail is a file in {folder}")
        return
    existing = next(one for one in (folder, *folder.parents) if one.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield _failed("folder", f"{folder} takes no files from this user")
    else:
        yield Step("folder", f"mails are files in {folder}, and nobody else gets them")


async def _server(settings: Settings, server: MailServer, mail: OutgoingMail | None) -> AsyncGenerator[Step, None]:
    # Only now, with the client, which takes 80 ms to import.
    from server.mail.transport.smtp_connection import Failed  # noqa: PLC0415

    transport = smtp_transport_of(settings, server)
    connection = transport.connection()
    name = "connection"
    try:
        address = await connection.connect()
        yield Step(name, f"{server.host}:{server.port} answers at {address}")
        name = "TLS"
        if not await connection.secure():
            yield Step(name, "none, and none is needed: the server is on this machine")
        else:
            secured = connection.secured()
            names, until = ", ".join(secured.names[:3]), rfc3339(secured.until)
            text = f"{secured.version}, a certificate for {names} until {until}"
            yield Step(name, text, certified_until=secured.until)
        name = "login"
        await connection.login()
        yield Step(name, f"as {server.username}" if server.username else "none, since mail.url has no user")
        if mail is not None:
            recipient = smtp_address(mail.recipient)
            utf8 = not (transport.sender + recipient).isascii()
            name = "sender"
            await connection.begin(transport.sender, utf8=utf8)
            yield Step(name, f"{transport.sender} may send")
            name = "recipient"
            await connection.recipient(recipient)
            yield Step(name, f"{mail.recipient} is taken")
            name = MESSAGE
            answer = await connection.content(mail.as_bytes(utf8=utf8))
            yield Step(name, f"accepted: {answer}")
    except Failed as failed:
        later = failed.outcome is Outcome.LATER and name in {"sender", "recipient", MESSAGE}
        yield _failed("TLS" if failed.in_tls else name, failed.reason, _NOT_NOW if later else None)
    finally:
        await connection.close()


def _failed(name: str, reason: str, remedy: str | None = None) -> Step:
    by_words = next((advice for words, advice in _REMEDIES_BY_WORDS.items() if words in reason), None)
    return Step(name, reason, remedy or by_words or _REMEDIES[name])
