"""The bearer token of a request (RFC 6750)."""

from __future__ import annotations

from aiohttp import hdrs, web

from watchword_client.claims import AccessClaims
from watchword_client.errors import TokenInvalid, TokenMissing
from watchword_client.token_verifier import TokenVerifier


def bearer_token(request: web.Request) -> str:
    """The token of `Authorization: Bearer …` (RFC 6750 section 2.1). Raises TokenMissing; TokenInvalid if repeated."""
    values = request.headers.getall(hdrs.AUTHORIZATION, None)
    if values is None:
        raise TokenMissing
    if len(values) != 1:
        raise TokenInvalid("The Authorization header was sent more than once.")
    scheme, _, token = values[0].partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenMissing
    return token.strip(" ")


class BearerTokens:
    """The Authenticator for other applications. The caller is given by the claims of the bearer token."""

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier

    async def authenticate(self, request: web.Request) -> AccessClaims:
        """The claims. Raises TokenMissing, TokenInvalid, TokenExpired, KeysUnavailable."""
        token = bearer_token(request)
        return self._verifier.remembered(token) or await self._verifier.verify(token)
