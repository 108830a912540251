"""Remembers verified tokens, so that each signature is checked only once."""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from threading import Lock

from watchword_client.claims import AccessClaims
from watchword_client.token_checks import FUTURE_SECONDS


class VerifiedTokens:
    """A bounded map from a token to its claims.

    When it is full, the oldest entry is removed. Tokens are short-lived, so the oldest entry also expires first, and a
    hit needs no bookkeeping. Each new entry removes old ones that have expired, so the memory is that of the tokens
    that live, and the size may be ample. Invalid tokens are not remembered, because they could push valid ones out.
    Threads may share one.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        # For changes that need more than one operation of the dict.
        self._lock = Lock()
        # The claims, and the times between which they are valid, in epoch milliseconds.
        # A dict would look for its first entry behind all those that were removed.
        self._entries: OrderedDict[str, tuple[AccessClaims, int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, token: str, now_ms: int) -> AccessClaims | None:
        """The claims if the token is remembered and valid at that time. The clock may have been set back."""
        entry = self._entries.get(token)
        if entry is None:
            return None
        claims, from_ms, until_ms = entry
        if from_ms <= now_ms < until_ms:
            return claims
        with self._lock:
            self._entries.pop(token, None)
        return None

    def add(self, token: str, claims: AccessClaims, now_ms: int) -> None:
        """Remember a verified token."""
        if self._size <= 0:
            return
        from_ms = (max(claims.issued_at, claims.not_before or claims.issued_at) - FUTURE_SECONDS) * 1000
        with self._lock:
            # Two, so that more are removed than added. A token that lives for longer than others may be in the way.
            for oldest in tuple(islice(self._entries, 2)):
                if self._entries[oldest][2] <= now_ms:
                    del self._entries[oldest]
            if len(self._entries) >= self._size:
                self._entries.popitem(last=False)
            self._entries[token] = (claims, from_ms, claims.expires_at * 1000)
