"""Keyed digests of tokens, codes and browser cookies. Who reads the store can make none of them."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from server.challenges.codes import normalised
from server.challenges.model import Purpose


class ChallengeDigests:
    """HMAC-SHA256 of each kind of secret, bound to what it is for."""

    def __init__(self, key: Callable[[], bytes]) -> None:
        self._key = key

    def token(self, purpose: Purpose, token: str) -> bytes:
        """The digest of a token, by which a challenge is found."""
        return self._digest("token", purpose, token)

    def code(self, purpose: Purpose, challenge_id: str, code: str) -> bytes:
        """The digest of a code, which is right for this challenge only."""
        return self._digest("code", purpose, challenge_id, normalised(code))

    def browser(self, cookie: str) -> bytes:
        """The digest of the value of the browser cookie."""
        return self._digest("browser", cookie)

    def _digest(self, *parts: str) -> bytes:
        # None but the last part is from outside, so no other parts make the same text.
        text = "\0".join(parts).encode("utf-8", "surrogatepass")
        return hmac.digest(self._key(), text, "sha256")
