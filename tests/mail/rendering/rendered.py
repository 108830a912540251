"""Rendered mails for tests."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import EmailMessage
from typing import Literal

from server.mail.model import MailKind
from server.mail.rendering.renderer import MailRenderer
from server.mail.rendering.samples import samples
from server.settings import Settings
from server.settings.mail import MailSettings
from server.settings.tree import PageSettings, ServerSettings

ORIGIN = "https://auth.example.com"
AT = 1795858860000
LANGUAGES: tuple[Literal["en", "de"], ...] = ("en", "de")
EVERY = [
    (kind, language, number) for kind in MailKind for language in LANGUAGES for number in range(len(samples(kind)))
]


def renderer(
    name: str = "Example", sender: str = "auth@example.com", templates: str = "", reply_to: str = ""
) -> MailRenderer:
    mail = {"url": "file:///mails", "from": sender, "templates": templates, "reply_to": reply_to}
    settings = Settings(
        server=ServerSettings(public_url=ORIGIN),
        pages=PageSettings(name=name),
        mail=MailSettings.model_validate(mail),
    )
    return MailRenderer.of(settings)


def rendered(
    kind: MailKind,
    language: str = "en",
    values: Mapping[str, str | int] | None = None,
    recipient: str = "lak@example.com",
    by: MailRenderer | None = None,
) -> EmailMessage:
    """A mail, with sample values but for those that are given."""
    return (by or renderer()).render(
        kind,
        language,
        {**samples(kind)[0], **(values or {})},
        recipient=recipient,
        message_id="<1@auth.example.com>",
        date_at=AT,
    )


def part(message: EmailMessage, kind: Literal["plain", "html"]) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())
