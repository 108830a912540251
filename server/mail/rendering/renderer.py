"""Makes messages of templates and values (RFC 5322, RFC 2045)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8

from server.mail.errors import MailFailed
from server.mail.model import MailKind
from server.mail.rendering.template_check import checked_templates
from server.mail.rendering.templates import Templates, shown_values
from server.mail.rendering.words import single_line
from server.mail.transport.mailbox import smtp_address
from server.settings import Settings
from server.settings.mail import mailbox_parts

# Characters of a line that SMTP takes (RFC 5322 section 2.1.1).
_LONGEST_LINE = 998
# A line that is no continuation of the one before (RFC 5322 section 2.2.3).
_NEW_HEADER = re.compile(r"[\r\n](?![\r\n \t]|\Z)")


class MailRenderer:
    """Renders mails in the languages that are offered; `origin` is where their links begin."""

    def __init__(self, templates: Templates, settings: Settings, origin: str) -> None:
        self._templates = templates
        self._languages = settings.pages.languages
        self._service = settings.pages.name
        self._origin = origin
        self._headers = _lasting_headers(settings)

    @classmethod
    def of(cls, settings: Settings) -> MailRenderer:
        """With the templates of `mail.templates`. Raises ConfigurationError if something is wrong with them."""
        return cls(checked_templates(settings.mail.templates), settings, settings.server.public_origin())

    def render(
        self,
        kind: MailKind,
        language: str | None,
        values: Mapping[str, str | int],
        *,
        recipient: str,
        message_id: str,
        date_at: int,
    ) -> EmailMessage:
        """The mail, in the first language that is offered if it is not offered in `language`.

        `message_id` is with its angle brackets. Raises MailFailed, for example if a value of the kind is missing.
        """
        chosen = language if language in self._languages else self._languages[0]
        shown = shown_values(values, language=chosen, service=self._service, origin=self._origin)
        parts = self._templates.parts(kind, shown)
        to = smtp_address(recipient)
        # SMTPUTF8 is needed only for what is in front of the @ (RFC 6531): few servers take it.
        message = EmailMessage(SMTP if to.isascii() else SMTPUTF8)
        for name, value in self._headers.items():
            message[name] = value
        message["To"] = _address("", to)
        message["Subject"] = _header_text(parts.subject)
        message["Date"] = datetime.fromtimestamp(date_at // 1000, UTC)
        message["Message-ID"] = message_id
        message.set_content(parts.text, cte=_encoding(parts.text))
        message.add_alternative(parts.html, subtype="html", cte=_encoding(parts.html))
        # Later than the content: whatever begins with Content- would go into its first part.
        message["Content-Language"] = chosen
        _require_whole(message)
        return message


def _lasting_headers(settings: Settings) -> Mapping[str, str | Address]:
    """Those that all mails have. Without a name of its own the sender has that of the service."""
    sender = mailbox_parts(settings.mail.sender)
    name = sender.display_name or settings.pages.name
    headers: dict[str, str | Address] = {"From": _address(name, sender.addr_spec)}
    if settings.mail.reply_to:
        reply_to = mailbox_parts(settings.mail.reply_to)
        headers["Reply-To"] = _address(reply_to.display_name, reply_to.addr_spec)
    # RFC 3834 section 5, and what Exchange looks at: no absence notes come back.
    return headers | {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "OOF, AutoReply"}


def _address(name: str, address: str) -> Address:
    local, _, domain = address.rpartition("@")
    return Address(_header_text(name), local, domain)


def _require_whole(message: EmailMessage) -> None:
    """Raise MailFailed if a header would end early, and another one begin (CWE-93).

    Python decodes encoded words in values, also in addresses, and writes unchecked what they hold (CVE-2024-6923).
    """
    for name, value in message.items():
        if _NEW_HEADER.search(message.policy.fold(name, value)):
            raise MailFailed(f"the header {name} would have a line break in it")


def _header_text(text: str) -> str:
    """Text for a header. Python decodes what looks like an encoded word (RFC 2047), and with it line breaks."""
    return single_line(text).replace("=?", "= ?")


def _encoding(text: str) -> str:
    """Readable as it is if that is possible. Else lines are folded in a way that mail programs undo (RFC 2045)."""
    plain = text.isascii() and all(len(line) <= _LONGEST_LINE for line in text.splitlines())
    return "7bit" if plain else "quoted-printable"
