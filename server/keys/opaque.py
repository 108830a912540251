"""Opaque tokens: a few bytes and a MAC over them. No row in the store is needed, and none helps to make one."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from watchword_client.encoding import decode_base64url, encode_base64url

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
        return self._prefix + encode_base64url(content + self._mac(content))

    def read(self, token: str) -> bytes | None:
        """The content of a token issued here; None for anything else, in a time that does not depend on the MAC."""
        if not token.startswith(self._prefix):
            return None
        try:
            raw = decode_base64url(token[len(self._prefix) :])
        except ValueError:
            return None
        content, mac = raw[:-MAC_LENGTH], raw[-MAC_LENGTH:]
        return content if hmac.compare_digest(mac, self._mac(content)) else None

    def _mac(self, content: bytes) -> bytes:
        key = self._key_of_today()
        if key != self._key:
            self._begin(key)
        continued = self._hmac.copy()
        continued.update(content)
        return continued.digest()
