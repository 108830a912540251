"""Bearer tokens as credentials: from a request to who calls, the one path that every checked request takes."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from server.access.principal import Principal
from server.core.errors import Unauthorized
from server.core.turns import Turns
from server.core.waiting import in_a_task
from server.sessions.errors import TokenRevoked
from server.sessions.revocation import Revocations
from watchword_client.bearer import bearer_token
from watchword_client.claims import AccessClaims
from watchword_client.token_verifier import TokenVerifier


class TokenWatcher(Protocol):
    """Is told of each check, for metrics."""

    def token_checked(self, error: Unauthorized | None, *, remembered: bool) -> None:
        """It has ended, well or with this error; `remembered` if the token had been verified before."""
        ...


class BearerAuthenticator:
    """The Authenticator that takes access tokens. It knows which sessions have ended and which roles have changed."""

    def __init__(
        self, verifier: TokenVerifier, revocations: Revocations, turns: Turns, watcher: TokenWatcher | None = None
    ) -> None:
        self._verifier = verifier
        self._revocations = revocations
        self._turns = turns
        self._watcher = watcher

    async def authenticate(self, request: web.Request) -> Principal:
        """Whose token the request has. Raises TokenMissing, TokenInvalid, TokenExpired or TokenRevoked."""
        remembered = False
        try:
            token = bearer_token(request)
            claims = self._verifier.remembered(token)
            remembered = claims is not None
            if claims is None or self._revocations.is_revoked(claims):
                await in_a_task()
                # Many new or bad tokens at once must not hold up those that are remembered.
                await self._turns.turn()
                claims = await self.verify(token)
        except Unauthorized as error:
            if self._watcher is not None:
                self._watcher.token_checked(error, remembered=remembered)
            raise
        if self._watcher is not None:
            self._watcher.token_checked(None, remembered=remembered)
        return Principal(claims.subject, claims.username, claims.role, claims.session_id, claims.auth_time)

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
