"""The only source of randomness and of identifiers. Injected, so tests can repeat a run."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import secrets
import uuid
from typing import Protocol

from server.core.clock import Clock

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
    """The id that a text from outside is, in small letters as ours are; None for any other text.

    Case does not count in what is read (RFC 9562 section 4).
    """
    return text.lower() if _ID.fullmatch(text) else None


def made_at(uuid7: str) -> int | None:
    """The time in a UUIDv7, in milliseconds; None for any other text."""
    try:
        value = uuid.UUID(uuid7)
    except ValueError:
        return None
    return value.int >> 80 if value.version == 7 else None


def derived_id(at: int, content: bytes) -> str:
    """A UUIDv7 of that time in milliseconds whose random part is a digest: the same content has the same `id_tail`."""
    return _uuid7(at, int.from_bytes(hashlib.sha256(content).digest()[:10], "big"))


def id_tail(uuid7: str) -> str:
    """What follows the time in an id."""
    return uuid7[14:]


def _uuid7(at: int, random: int) -> str:
    """With the first 12 and the last 62 of 80 random bits (RFC 9562 section 5.7)."""
    value = (at & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7 << 76 | (random >> 68 & 0xFFF) << 64
    value |= 0b10 << 62 | random & 0x3FFF_FFFF_FFFF_FFFF
    return str(uuid.UUID(int=value))


class Ids:
    """Makes identifiers that sort by the time of their making (UUID version 7, RFC 9562 section 5.7)."""

    def __init__(self, clock: Clock, randomness: Randomness) -> None:
        self._clock = clock
        self._randomness = randomness
        self._request_prefix = randomness.token_bytes(9).hex()
        self._request_numbers = itertools.count(1)

    def new_id(self, at: int | None = None) -> str:
        """A new UUIDv7 in its usual 36-character form, made now, or `at` another time in milliseconds."""
        random = int.from_bytes(self._randomness.token_bytes(10), "big")
        return _uuid7(self._clock.now_ms() if at is None else at, random)

    def new_request_id(self) -> str:
        """An id for one request: unique, but not secret, so a counter behind a random prefix is enough."""
        return f"{self._request_prefix}-{next(self._request_numbers):x}"

    def new_password(self) -> str:
        """A password of 160 random bits, in letters and digits that are hard to mistake for each other."""
        text = base64.b32encode(self._randomness.token_bytes(20)).decode("ascii").lower()
        return "-".join(text[start : start + 8] for start in range(0, 32, 8))

    def random_bytes(self, size: int) -> bytes:
        """`size` bytes fit for keys and secrets."""
        return self._randomness.token_bytes(size)
