"""The same secret in other spellings: repeated to its length, in hexadecimal, base64 or base32, in leet."""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress

# Shorter ones are words, or come to 32 bytes only if they are said several times.
LEAST_BYTES = 16
HEXADECIMAL = re.compile(r"(?:0x)?[0-9a-f:\s-]+", re.IGNORECASE)

# Letters that Unicode does not take apart.
_ONE_LETTER = str.maketrans("đłøıæœħŧðþ", "dloiaohtdt")
# What is written for a letter. Two ways, since a 1 may be an i or an l.
LEET = (str.maketrans("0134578@$!|+", "oieastbasiit"), str.maketrans("0134578@$!|+", "oleastbaslit"))

_ENCODED_DEEP = 3


def readings(text: str, depth: int = 0) -> Iterator[str]:
    """The text, once if it repeats itself, and what it is the hexadecimal, base64 or base32 of, if that is text too.

    Of a line of an environment file, what is behind its name.
    """
    text = re.sub(r"^[A-Z_]+=(?=.)", "", text.strip()).strip("\"'")
    yield text
    unit = repeated_unit(text)
    if unit != text:
        yield unit
    for raw in decoded(text) if depth < _ENCODED_DEEP else ():
        # Random bytes are as good as never text: 24 of them less than once in 10^7, and then it says nothing.
        with suppress(UnicodeDecodeError):
            inner = raw.decode().strip()
            if inner.isprintable():
                yield from readings(inner, depth + 1)


def decoded(text: str) -> Iterator[bytes]:
    """What it is the hexadecimal, base64 or base32 of, as far as it may be that."""
    if HEXADECIMAL.fullmatch(text):
        digits = re.sub(r"[:\s-]", "", text.lower().removeprefix("0x"))
        yield bytes.fromhex(digits[: len(digits) // 2 * 2])
    compact = re.sub(r"\s", "", text.removeprefix("base64:")).translate(str.maketrans("-_", "+/")).rstrip("=")
    # What is cut off in the middle of a byte lacks that one alone.
    whole = compact[: len(compact) - (len(compact) % 4 == 1)]
    with suppress(ValueError):
        yield base64.b64decode(whole + "=" * (-len(whole) % 4), validate=True)
    with suppress(ValueError):
        yield base64.b32decode(compact + "=" * (-len(compact) % 8), casefold=True)


def repeated_unit(text: str) -> str:
    """The beginning that it repeats, also if the last time is cut off; all of it if it repeats none."""
    start = (text + text).find(text[: (len(text) + 1) // 2], 1)
    while 0 < start <= len(text) // 2:
        if text[start:] == text[:-start]:
            return text[:start]
        start = text.find(text[: (len(text) + 1) // 2], start + 1)
    return text


def plain_text(text: str) -> str:
    """In lower case, without accents."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text).casefold().translate(_ONE_LETTER)
    return "".join(character for character in apart if not unicodedata.combining(character))
