"""Opaque tokens: a few bytes with a MAC. They need no row in the store, and nobody can forge one from stored rows."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from watchword_client.encoding import decode_base64url, encode_base64url

MAC_LENGTH = 32

# The key, or a function that returns the current key.
Key = bytes | Callable[[], bytes]


class OpaqueTokens:
    """Issues and reads the tokens of one purpose, with a key for this purpose only.

    The prefix shows people and secret scanners which kind of token it is.
    """

    def __init__(self, key: Key, prefix: str) -> None:
        self._prefix = prefix
        self._key_of_today = key if callable(key) else lambda: key
        self._begin(self._key_of_today())

    def _begin(self, key: bytes) -> None:
        """Prepare an HMAC of the prefix, once for each key; each token continues a copy of it.

        hmac.digest() would release the interpreter lock for each token, and wait for other threads to get it back.
        """
        self._key = key
        self._hmac = hmac.new(key, self._prefix.encode("ascii") + b"\0", hashlib.sha256)

    def issue(self, content: bytes) -> str:
        """A token with this content. Anybody can read the content; nobody without the key can change it."""
        return self._prefix + encode_base64url(content + self._mac(content))

    def read(self, token: str) -> bytes | None:
        """The content of a token issued here; None for any other text. MACs are compared in constant time."""
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
