"""From a bearer token to the claims of its user: the one path that every checked request takes."""

from __future__ import annotations

from server.sessions.errors import TokenRevoked
from server.sessions.revocation import Revocations
from watchword_client.claims import AccessClaims
from watchword_client.token_verifier import TokenVerifier


class Authenticator:
    """A verifier that also knows which sessions have ended and which roles have changed."""

    def __init__(self, verifier: TokenVerifier, revocations: Revocations) -> None:
        self._verifier = verifier
        self._revocations = revocations

    def remembered(self, token: str) -> AccessClaims | None:
        """The claims of a token that was verified before; None if it was not. Costs a look-up."""
        claims = self._verifier.remembered(token)
        return None if claims is None or self._revocations.is_revoked(claims) else claims

    async def verify(self, token: str) -> AccessClaims:
        """The claims. Raises TokenInvalid, TokenExpired or TokenRevoked."""
        claims = await self.claims_of_session(token)
        if self._revocations.has_other_role(claims):
            # Or what is known here is out of date, and the token newer than that.
            await self._revocations.soon()
            if self._revocations.has_other_role(claims):
                raise TokenRevoked(claims.subject)
        return claims

    async def claims_of_session(self, token: str) -> AccessClaims:
        """The claims of a living session, though their role may be out of date. Raises as `verify` does."""
        claims = await self._verifier.verify(token)
        if self._revocations.has_ended(claims):
            raise TokenRevoked(claims.subject)
        return claims
