"""The published JWK Set, ready to be sent."""

from __future__ import annotations

import hashlib

from watchword_client.encoding import encode_base64url


class JwksDocument:
    """The bytes and their entity tag (RFC 9110 section 8.8.3), valid until a key expires at `changes_at` (epoch ms)."""

    def __init__(self, body: bytes, changes_at: int | None) -> None:
        self.body = body
        self.etag = encode_base64url(hashlib.sha256(body).digest()[:12])
        self._changes_at = changes_at

    def is_current(self, now_ms: int) -> bool:
        """Whether no key has expired by that time."""
        return self._changes_at is None or now_ms < self._changes_at
