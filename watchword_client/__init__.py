"""Verifies the access tokens of a Watchword, and guards an aiohttp application by them (docs/verifying.md).

    verifier = TokenVerifier(RemoteKeySet("https://auth.example.com/.well-known/jwks.json"),
                             issuer="my-api", audience="my-api")
    claims = await verifier.verify(token)

`KeySet.parse(text)` takes a JWK or a JWK Set that is at hand; `protect(app, verifier, {"GET /reports": only("admin")})`
guards an aiohttp application.
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

# Where each name is. A module is imported when one of its names is first asked for (PEP 562): aiohttp, cryptography and
# PyJWT take 0.2 s, and who asks for an error needs none of them.
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

if not TYPE_CHECKING:  # With it, type checkers would believe in any name.

    def __getattr__(name: str) -> Any:
        for module, names in _MODULES.items():
            if name in names:
                value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
