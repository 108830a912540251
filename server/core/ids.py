"""The only source of randomness and of identifiers. It is injected, so tests can repeat a run."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import secrets
import uuid
from typing import Protocol

from server.core.clock import Clock

# Sorts after every id, since ids are hexadecimal.
LAST_ID = "g"
_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class Randomness(Protocol):
    """Where unpredictable bytes come from."""

    def token_bytes(self, size: int) -> bytes:
        """`size` bytes fit for keys and secrets."""
        ...


class SystemRandomness:
    """The operating system's generator (`secrets`)."""

    def token_bytes(self, size: int) -> bytes:
        """`size` bytes fit for keys and secrets."""
        return secrets.token_bytes(size)


def id_in(text: str) -> str | None:
    """The id in lower case, as the store has it; None if the text is not a UUID.

    Ids from outside may have upper case (RFC 9562 section 4).
    """
    return text.lower() if _ID.fullmatch(text) else None


def made_at(uuid7: str) -> int | None:
    """The time in a UUIDv7, in epoch milliseconds; None for any other text."""
    try:
        value = uuid.UUID(uuid7)
    except ValueError:
        return None
    return value.int >> 80 if value.version == 7 else None


def derived_id(at: int, content: bytes) -> str:
    """A UUIDv7 of that time (epoch ms) with a digest as its random part: equal content gives an equal `id_tail`."""
    return _uuid7(at, int.from_bytes(hashlib.sha256(content).digest()[:10], "big"))


def id_tail(uuid7: str) -> str:
    """The part of a UUIDv7 that follows its time."""
    return uuid7[14:]


def _uuid7(at: int, random: int) -> str:
    """Build the id from the first 12 and the last 62 of 80 random bits (RFC 9562 section 5.7)."""
    value = (at & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7 << 76 | (random >> 68 & 0xFFF) << 64
    value |= 0b10 << 62 | random & 0x3FFF_FFFF_FFFF_FFFF
    return _with_dashes(f"{value:032x}")


def _with_dashes(digits: str) -> str:
    """The text of a UUID (RFC 9562 section 4). uuid.UUID takes three times as long for it."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def bytes_of_id(text: str) -> bytes:
    """The 16 bytes of an id."""
    return bytes.fromhex(text.replace("-", ""))


def id_of_bytes(raw: bytes) -> str:
    """The id of 16 bytes."""
    return _with_dashes(raw.hex())


class Ids:
    """Makes identifiers that sort by their time of creation (UUID version 7, RFC 9562 section 5.7), and secrets."""

    def __init__(self, clock: Clock, randomness: Randomness) -> None:
        self._clock = clock
        self._randomness = randomness
        self._request_prefix = randomness.token_bytes(9).hex()
        self._request_numbers = itertools.count(1)

    def new_id(self, at: int | None = None) -> str:
        """A new UUIDv7 of 36 characters, with the time now or `at` another time (epoch ms)."""
        random = int.from_bytes(self._randomness.token_bytes(10), "big")
        return _uuid7(self._clock.now_ms() if at is None else at, random)

    def new_request_id(self) -> str:
        """An id for one request: it is unique but not secret, so a counter after a random prefix is enough."""
        return f"{self._request_prefix}-{next(self._request_numbers):x}"

    def new_password(self) -> str:
        """A password of 160 random bits, in letters and digits that are hard to mistake for each other."""
        text = base64.b32encode(self._randomness.token_bytes(20)).decode("ascii").lower()
        return "-".join(text[start : start + 8] for start in range(0, 32, 8))

    def random_bytes(self, size: int) -> bytes:
        """`size` bytes fit for keys and secrets."""
        return self._randomness.token_bytes(size)
