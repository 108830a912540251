"""[mail]: where mail goes out, and who it is from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from email.headerregistry import Address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field

from server.core.text import is_displayable
from server.settings.networks import is_loopback
from server.settings.section import Section

_PORTS = {"smtp": 587, "smtps": 465}
_EXAMPLE = "smtp://user:password@mail.example.com:587, smtps://…, or file:///folder"


@dataclass(frozen=True, slots=True)
class MailServer:
    """An SMTP server. `smtps`: TLS from the first byte (RFC 8314 section 3.3), else STARTTLS."""

    scheme: Literal["smtp", "smtps"]
    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine. Then STARTTLS is not required."""
        return is_loopback(self.host)


def mail_url(text: str) -> str:
    """Where mail goes out, or "". Raises ValueError, whose message says what to write and never repeats a password."""
    if text:
        mail_place(text)
    return text


def mail_place(text: str) -> MailServer | Path:
    """The server, or the folder, of a `mail.url` that is not empty. Raises ValueError as `mail_url` does."""
    scheme, mark, rest = text.partition("://")
    scheme = scheme.lower()
    if not mark or scheme not in {"smtp", "smtps", "file"}:
        raise ValueError(f"is no address of a mail server; write {_EXAMPLE}")
    if scheme == "file":
        if not rest.startswith("/") or rest.strip("/") == "" or "?" in rest or "#" in rest:
            raise ValueError("names no folder; write file:///path/to/folder")
        return Path(unquote(rest))
    return _server("smtps" if scheme == "smtps" else "smtp", text)


def _server(scheme: Literal["smtp", "smtps"], text: str) -> MailServer:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        advice = f"write {_EXAMPLE}, and / : @ in user and password as %2F, %3A and %40"
        raise ValueError(f"has no host and port that can be read; {advice}") from None
    if not host or port == 0:
        raise ValueError(f"names no host; write {_EXAMPLE}")
    if "@" in (parts.path + parts.query + parts.fragment):
        raise ValueError("has a / ? or # in its user or password; write them as %2F, %3F and %23")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("has more than user, password, host and port; leave out what follows the port")
    if any(character.isspace() or not character.isprintable() for character in host):
        raise ValueError(f"names no host; write {_EXAMPLE}")
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(username) is not bool(password):
        raise ValueError("has a user without a password, or the other way round; give both or neither")
    return MailServer(scheme, host, port or _PORTS[scheme], username, password)


def mailbox(text: str) -> str:
    """An address with or without a name, as `Example <auth@example.com>`, or "". Raises ValueError."""
    if text:
        mailbox_parts(text)
    return text


def mailbox_parts(text: str) -> Address:
    """Name and address of what is not empty. Raises ValueError, whose message says what to write."""
    # Most settings name no address, and importing this takes 40 ms.
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415

    wrong = "is no address; write auth@example.com or Example <auth@example.com>"
    name, mark, rest = text.rpartition("<")
    address = rest.removesuffix(">") if mark else text
    name = name.strip().removeprefix('"').removesuffix('"')
    if not is_displayable(text) or (mark and not rest.endswith(">")):
        raise ValueError(wrong)
    try:
        found = validate_email(address.strip(), check_deliverability=False, globally_deliverable=False)
        return Address(name, found.local_part, found.ascii_domain or "")
    except (EmailNotValidError, ValueError, IndexError):
        raise ValueError(wrong) from None


class MailSettings(Section):
    """Mail to users."""

    url: Annotated[str, AfterValidator(mail_url)] = Field(
        "",
        description="smtp://user:password@host:587 (STARTTLS unless on this machine), smtps://… or file:///folder; "
        "empty: no mail is sent",
    )
    sender: Annotated[str, AfterValidator(mailbox)] = Field(
        "", alias="from", description='who mails are from, like "Example <auth@example.com>"; needed with mail.url'
    )
    reply_to: Annotated[str, AfterValidator(mailbox)] = Field(
        "", description="where answers to mails go; empty: to mail.from"
    )
    sign_in_codes: bool = Field(False, description="let people sign in by a code that is mailed to them")
    sign_in_notices: bool = Field(True, description="mail users of sign-ins from a device that was never seen")
    templates: str = Field("", description="folder whose files replace the shipped templates of the same name")

    @property
    def enabled(self) -> bool:
        """Whether mail is sent."""
        return bool(self.url)

    @property
    def place(self) -> MailServer | Path:
        """The server, or the folder that takes the mails as files. Raises ValueError if there is none."""
        return mail_place(self.url)

    @property
    def is_on_another_machine(self) -> bool:
        """Whether mails leave this machine."""
        return self.enabled and isinstance(self.place, MailServer) and not self.place.is_loopback


def mail_problems(mail: MailSettings, *, public_url: str, port: int) -> Sequence[str]:
    """What is wrong with [mail] beside the other settings."""
    problems = []
    if mail.enabled and not mail.sender:
        problems.append('mail.from: mail.url needs it; write who mails are from, like "Example <auth@example.com>"')
    if mail.enabled and not public_url and not port:
        problems.append("mail.url: links in mails need server.public_url, since server.port is 0; set one of the two")
    if mail.sign_in_codes and not mail.enabled:
        problems.append("mail.sign_in_codes: codes are mailed, and mail.url is empty; set it, or leave this false")
    return problems
