"""Tokens and the keys behind them.

For services that verify our tokens, here is what they need (docs/verifying.md):

    verifier = TokenVerifier(RemoteKeySet("https://auth.example.com/.well-known/jwks.json"),
                             issuer="my-api", audience="my-api")
    claims = await verifier.verify(token)

`KeySet.parse(text)` takes a JWK or a JWK Set that is at hand; `protect(app, verifier, {"GET /reports": only("admin")})`
guards an aiohttp application.
"""

from __future__ import annotations

from watchword_client.access import ANY_USER, ANYONE, only
from watchword_client.auth_middleware import CLAIMS, auth_middleware, claims_of, protect
from watchword_client.claims import AccessClaims
from watchword_client.errors import (
    ConfigurationError,
    InsufficientRole,
    KeyRefused,
    KeysUnavailable,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    Unauthorized,
)
from watchword_client.jwk import KeySet
from watchword_client.remote import RemoteKeySet
from watchword_client.token_verifier import TokenVerifier

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
