"""Which way mails go, by the settings."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from server.core.ids import Ids
from server.mail.transport.folder import FolderTransport
from server.mail.transport.model import Transport
from server.settings.mail import MailServer, mailbox_parts
from server.settings.tree import Settings

if TYPE_CHECKING:
    from server.mail.transport.smtp import SmtpTransport


def transport_of(settings: Settings, ids: Ids) -> Transport:
    """The transport for `mail.url`, which is not empty. Nothing is connected yet."""
    place = settings.mail.place
    if isinstance(place, Path):
        return FolderTransport(place, ids)
    return smtp_transport_of(settings, place)


def smtp_transport_of(settings: Settings, server: MailServer) -> SmtpTransport:
    """The transport for that server."""
    # Importing the client takes 80 ms, which a server without mail need not wait for.
    from server.mail.transport.smtp import SmtpTransport  # noqa: PLC0415

    return SmtpTransport(server, mailbox_parts(settings.mail.sender).addr_spec, own_name(settings.server.public_url))


def own_name(public_url: str) -> str:
    """What this server calls itself to others: a full name of a host (RFC 5321 section 2.3.5), or "" if it has none."""
    host = urlsplit(public_url).hostname or ""
    with suppress(ValueError):
        ipaddress.ip_address(host)
        return ""
    return host if "." in host and host.isascii() else ""
