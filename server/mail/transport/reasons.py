"""Why a mail was not sent, in one line that may stand in a log, a console and a terminal.

What a mail server answers is text from outside: it may have control characters, have any length, and repeat what it
was sent.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

LONGEST_REASON = 300
# Behind it, a reply of many lines mostly repeats itself.
_LONGEST_REPLY = 200


def one_line(text: str, longest: int = LONGEST_REASON) -> str:
    """The text without line breaks and other characters that can't be seen, at most `longest` characters."""
    # Only a piece, since a reply has up to 32 KB. The server's client library makes surrogates of bytes beyond UTF-8.
    piece = text[: 4 * longest].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    line = " ".join("".join(one if one.isprintable() else " " for one in piece).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def reply(code: int, text: str, secrets: Sequence[str] = ()) -> str:
    """What a server has answered, like `550 5.1.1 no such user`. `secrets` are taken out of it."""
    for secret in secrets:
        text = text.replace(secret, "***")
    known = 200 <= code <= 599
    said = one_line(text, _LONGEST_REPLY)
    return f"{code} {said}".rstrip() if known else f"no reply of SMTP: {said}"


def secrets_of(username: str, password: str) -> list[str]:
    """A password in the forms in which a server may repeat it: as it is, and as it was sent (RFC 4616, AUTH LOGIN)."""
    if not password:
        return []
    sent = (f"\0{username}\0{password}", password)
    return [*(base64.b64encode(text.encode()).decode("ascii") for text in sent), password]
