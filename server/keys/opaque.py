"""Opaque tokens: a few bytes and a MAC over them. No row in the store is needed, and none helps to make one."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable

MAC_LENGTH = 32

# The key itself, or what tells the one of today.
Key = bytes | Callable[[], bytes]


class OpaqueTokens:
    """Tokens of one purpose, under a key of their own.

    The prefix tells people and secret scanners what they are looking at.
    """

    def __init__(self, key: Key, prefix: str) -> None:
        self._prefix = prefix
        self._key_of_today = key if callable(key) else lambda: key
        self._begin(self._key_of_today())

    def _begin(self, key: bytes) -> None:
        """Once for each key, to be continued on a copy for each token.

        hmac.digest() would let go of the interpreter's lock for each, and wait for other threads to get it back.
        """
        self._key = key
        self._hmac = hmac.new(key, self._prefix.encode("ascii") + b"\0", hashlib.sha256)

    def issue(self, content: bytes) -> str:
        """A token that carries `content`, readable but not alterable."""
        return self._prefix + _encoded(content + self._mac(content))

    def read(self, token: str) -> bytes | None:
        """The content of a token issued here; None for anything else, in a time that does not depend on the MAC."""
        if not token.startswith(self._prefix) or not token.isascii():
            return None
        text = token[len(self._prefix) :]
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except binascii.Error:
            return None
        content, mac = raw[:-MAC_LENGTH], raw[-MAC_LENGTH:]
        if not hmac.compare_digest(mac, self._mac(content)):
            return None
        # Spare bits at the end would be another spelling of the same bytes.
        return content if _encoded(raw) == text else None

    def _mac(self, content: bytes) -> bytes:
        key = self._key_of_today()
        if key != self._key:
            self._begin(key)
        continued = self._hmac.copy()
        continued.update(content)
        return continued.digest()


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")
