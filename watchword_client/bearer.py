"""The bearer token of a request (RFC 6750)."""

from __future__ import annotations

from aiohttp import hdrs, web

from watchword_client.errors import TokenInvalid, TokenMissing


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
