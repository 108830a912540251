"""Remembers verified tokens, so that a signature is checked once and not at every call."""

from __future__ import annotations

from server.tokens.claims import AccessClaims


class VerifiedTokens:
    """A bounded map from a token to its claims.

    When it is full, the oldest entry goes: tokens are short-lived, so the oldest is also the one that expires first,
    and a hit then needs no bookkeeping. Invalid tokens are not remembered: they could push valid ones out.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._claims: dict[str, AccessClaims] = {}

    def __len__(self) -> int:
        return len(self._claims)

    def get(self, token: str, now_ms: int) -> AccessClaims | None:
        """The claims, if the token was verified before and has not expired since."""
        claims = self._claims.get(token)
        if claims is None:
            return None
        if claims.expires_at * 1000 <= now_ms:
            del self._claims[token]
            return None
        return claims

    def add(self, token: str, claims: AccessClaims) -> None:
        """Remember a verified token."""
        if self._size <= 0:
            return
        if len(self._claims) >= self._size:
            del self._claims[next(iter(self._claims))]
        self._claims[token] = claims

    def clear(self) -> None:
        """Forget all: a key is believed no more, and perhaps one of these was signed with it."""
        self._claims.clear()
