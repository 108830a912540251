"""Tokens and the keys behind them.

For services that verify our tokens, here is what they need (docs/verifying.md):

    verifier = TokenVerifier(RemoteKeySet("https://auth.example.com/.well-known/jwks.json"),
                             issuer="my-api", audience="my-api")
    claims = await verifier.verify(token)

`KeySet.parse(text)` takes a JWK or a JWK Set that is at hand; `protect(app, verifier, {"GET /reports": only("admin")})`
guards an aiohttp application.
"""

from __future__ import annotations

from server.access import ANY_USER, ANYONE, only
from server.core.errors import (
    ConfigurationError,
    InsufficientRole,
    KeyRefused,
    KeysUnavailable,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    Unauthorized,
)
from server.tokens.claims import AccessClaims
from server.tokens.guard import CLAIMS, auth_middleware, claims_of, protect
from server.tokens.jwk import KeySet
from server.tokens.remote import RemoteKeySet
from server.tokens.token_verifier import TokenVerifier

__all__ = [
    "ANYONE",
    "ANY_USER",
    "CLAIMS",
    "AccessClaims",
    "ConfigurationError",
    "InsufficientRole",
    "KeyRefused",
    "KeySet",
    "KeysUnavailable",
    "RemoteKeySet",
    "TokenExpired",
    "TokenInvalid",
    "TokenMissing",
    "TokenVerifier",
    "Unauthorized",
    "auth_middleware",
    "claims_of",
    "only",
    "protect",
]
