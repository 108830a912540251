"""Opaque tokens: a few bytes and a MAC over them. No row in the store is needed, and none helps to make one."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

MAC_LENGTH = 32


class OpaqueTokens:
    """Tokens of one purpose, under a key of their own.

    The prefix tells people and secret scanners what they are looking at.
    """

    def __init__(self, key: bytes, prefix: str) -> None:
        self._key = key
        self._prefix = prefix

    def issue(self, content: bytes) -> str:
        """A token that carries `content`, readable but not alterable."""
        mac = self._mac(content)
        return self._prefix + base64.urlsafe_b64encode(content + mac).decode("ascii").rstrip("=")

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
        if not hmac.compare_digest(mac, self._mac(content)) or self.issue(content) != token:
            # The second test refuses other spellings of the same bytes.
            return None
        return content

    def _mac(self, content: bytes) -> bytes:
        return hmac.digest(self._key, self._prefix.encode("ascii") + b"\0" + content, hashlib.sha256)
