"""Other readings of a secret: without repetition, decoded from hexadecimal, base64 or base32, and without leet."""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress

# Shorter texts are not decoded: they are words, or are repeated until they have 32 bytes.
LEAST_BYTES = 16
HEXADECIMAL = re.compile(r"(?:0x)?[0-9a-f:\s-]+", re.IGNORECASE)

# Letters that Unicode does not decompose, and their plain letters.
_ONE_LETTER = str.maketrans("đłøıæœħŧðþ", "dloiaohtdt")
# Leet: characters that stand for letters. There are two tables, since 1 may be i or l.
LEET = (str.maketrans("0134578@$!|+", "oieastbasiit"), str.maketrans("0134578@$!|+", "oleastbaslit"))

_ENCODED_DEEP = 3


def readings(text: str, depth: int = 0) -> Iterator[str]:
    """The text, its part that is repeated, and the text that it encodes in hexadecimal, base64 or base32.

    If it is a line of an environment file, this includes the value after the name.
    """
    text = re.sub(r"^[A-Z_]+=(?=.)", "", text.strip()).strip("\"'")
    yield text
    unit = repeated_unit(text)
    if unit != text:
        yield unit
    for raw in decoded(text) if depth < _ENCODED_DEEP else ():
        # 24 random bytes are valid text less than once in 10^7 times, and then the text does not look like words.
        with suppress(UnicodeDecodeError):
            inner = raw.decode().strip()
            if inner.isprintable():
                yield from readings(inner, depth + 1)


def decoded(text: str) -> Iterator[bytes]:
    """The bytes that the text may encode in hexadecimal, base64 or base32."""
    if HEXADECIMAL.fullmatch(text):
        digits = re.sub(r"[:\s-]", "", text.lower().removeprefix("0x"))
        yield bytes.fromhex(digits[: len(digits) // 2 * 2])
    compact = re.sub(r"\s", "", text.removeprefix("base64:")).translate(str.maketrans("-_", "+/")).rstrip("=")
    # If base64 was cut off within a byte, only this byte is missing.
    whole = compact[: len(compact) - (len(compact) % 4 == 1)]
    with suppress(ValueError):
        yield base64.b64decode(whole + "=" * (-len(whole) % 4), validate=True)
    with suppress(ValueError):
        yield base64.b32decode(compact + "=" * (-len(compact) % 8), casefold=True)


def repeated_unit(text: str) -> str:
    """The beginning that the text repeats, even if the last repetition is cut off; otherwise the whole text."""
    start = (text + text).find(text[: (len(text) + 1) // 2], 1)
    while 0 < start <= len(text) // 2:
        if text[start:] == text[:-start]:
            return text[:start]
        start = text.find(text[: (len(text) + 1) // 2], start + 1)
    return text


def plain_text(text: str) -> str:
    """The text in lower case, without accents."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text).casefold().translate(_ONE_LETTER)
    return "".join(character for character in apart if not unicodedata.combining(character))
