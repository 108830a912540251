"""Verifies access tokens of a Watchword server, and guards an aiohttp application with them (docs/verifying.md).

    verifier = TokenVerifier(RemoteKeySet("https://auth.example.com/.well-known/jwks.json"),
                             issuer="my-api", audience="my-api")
    claims = await verifier.verify(token)

`KeySet.parse(text)` reads a JWK or a JWK Set that you already have. An aiohttp application is guarded by
`protect(app, verifier, {"GET /reports": only("admin")})`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from watchword_client.access import ANY_USER, ANYONE, only
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
    from watchword_client.middleware import CLAIMS, auth_middleware, claims_of, protect
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

# The module of each name. It is imported when the name is first used (PEP 562): the import of aiohttp, cryptography and
# PyJWT takes 0.2 s, and a program that uses only an error needs none of them.
_MODULES = {
    "access": ("ANYONE", "ANY_USER", "only"),
    "middleware": ("CLAIMS", "auth_middleware", "claims_of", "protect"),
    "claims": ("AccessClaims",),
    "errors": (
        "ConfigurationError",
        "InsufficientRole",
        "KeyRefused",
        "KeysUnavailable",
        "TokenExpired",
        "TokenInvalid",
        "TokenMissing",
        "Unauthorized",
    ),
    "jwk": ("KeySet",),
    "remote": ("RemoteKeySet",),
    "token_verifier": ("TokenVerifier",),
}

if not TYPE_CHECKING:  # Type checkers would accept any name because of this function.

    def __getattr__(name: str) -> Any:
        for module, names in _MODULES.items():
            if name in names:
                value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
