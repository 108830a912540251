"""A mail that came to the server of the tests, and what is looked for in it."""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import dataclass
from email.message import EmailMessage
from functools import cached_property
from typing import Literal

_LINK = re.compile(r"https?://[^\s<>\"')\]]+")
# The alphabet of codes has no letters that look alike.
_CODE = re.compile(r"(?<![\w-])([2-9A-HJKMNP-TV-Z]{4}-[2-9A-HJKMNP-TV-Z]{4})(?![\w-])")


@dataclass(frozen=True)
class Received:
    """A mail that came, with what is in it."""

    sender: str
    recipient: str
    raw: bytes
    tls: bool = False
    login: str | None = None
    utf8: bool = False
    # A number for each connection, and what the client called itself.
    connection: int = 0
    client: str = ""

    @cached_property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.raw, EmailMessage, policy=email.policy.SMTP)

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"])

    @property
    def text(self) -> str:
        return self._body("plain")

    @property
    def html(self) -> str:
        return self._body("html")

    def _body(self, kind: Literal["plain", "html"]) -> str:
        part = self.message.get_body((kind,))
        assert part is not None, f"this mail has no part text/{kind}"
        return str(part.get_content()).replace("\r\n", "\n")


def link_of(message: Received) -> str:
    """The link of a mail: the only one in its text, which its HTML has too."""
    links = set(_LINK.findall(message.text))
    assert len(links) == 1, f"links in the text: {sorted(links)}"
    link: str = links.pop()
    assert f'href="{link}"' in message.html.replace("&amp;", "&"), "the HTML has another link than the text"
    return link


def code_of(message: Received) -> str:
    """The code of a mail, as it is written in text and HTML."""
    codes = set(_CODE.findall(message.text))
    assert len(codes) == 1, f"codes in the text: {sorted(codes)}"
    code: str = codes.pop()
    assert code in message.html, "the HTML has another code than the text"
    return code
