"""From a bearer token to the claims of its user: the one path that every checked request takes."""

from __future__ import annotations

from server.clock import Clock
from server.errors import TokenRevoked
from server.tokens.cache import VerifiedTokens
from server.tokens.claims import AccessClaims
from server.tokens.keyservice import KeyService
from server.tokens.revocation import Revocations
from server.tokens.verifier import UnknownKey, Verifier


class Authenticator:
    """Verifies a token once and remembers it until it expires."""

    def __init__(
        self, *, verifier: Verifier, verified: VerifiedTokens, revocations: Revocations, keys: KeyService, clock: Clock
    ) -> None:
        self._verifier = verifier
        self._verified = verified
        self._revocations = revocations
        self._keys = keys
        self._clock = clock

    def remembered(self, token: str) -> AccessClaims | None:
        """The claims of a token that was verified before; None if it was not. Costs a look-up."""
        claims = self._verified.get(token, self._clock.now_ms())
        return None if claims is None or self._revocations.is_revoked(claims) else claims

    async def authenticate(self, token: str) -> AccessClaims:
        """The claims. Raises TokenInvalid, TokenExpired or TokenRevoked."""
        claims = await self.claims_of_session(token)
        if self._revocations.has_other_role(claims):
            # Or what is known here is out of date, and the token newer than that.
            await self._revocations.soon()
            if self._revocations.has_other_role(claims):
                raise TokenRevoked
        return claims

    async def claims_of_session(self, token: str) -> AccessClaims:
        """The claims of a living session, though their role may be out of date. Raises as `authenticate` does."""
        now = self._clock.now_ms()
        claims = self._verified.get(token, now)
        if claims is None:
            claims = await self._verify(token, now)
            self._verified.add(token, claims)
        if self._revocations.has_ended(claims):
            raise TokenRevoked
        return claims

    async def _verify(self, token: str, now: int) -> AccessClaims:
        try:
            return self._verifier.verify(token, now)
        except UnknownKey:
            # Perhaps another node has just begun to sign with a new key.
            if not await self._keys.maybe_reload():
                raise
            return self._verifier.verify(token, now)
