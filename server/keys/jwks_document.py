"""The published JWK Set, ready to be sent."""

from __future__ import annotations

import hashlib

from watchword_client.encoding import encode_base64url


class JwksDocument:
    """Its bytes with their entity tag (RFC 9110 section 8.8.3), until a key leaves the set by itself."""

    def __init__(self, body: bytes, changes_at: int | None) -> None:
        self.body = body
        self.etag = encode_base64url(hashlib.sha256(body).digest()[:12])
        self._changes_at = changes_at

    def is_current(self, now_ms: int) -> bool:
        """Whether the set is still the same at that time."""
        return self._changes_at is None or now_ms < self._changes_at
