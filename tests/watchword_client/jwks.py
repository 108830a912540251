"""Keys as JWKs, good ones and such with changes."""

from __future__ import annotations

from typing import Any

from server.keys.key_material import public_jwk
from tests.forging import SECRET, base64url, signing_key

PAIRS = ("ES256", "EdDSA", "RS256")
JWK = dict[str, Any]


def public(algorithm: str, *number: int, **changes: Any) -> JWK:
    """A good key, with changes; None takes a member out."""
    jwk = public_jwk(signing_key(algorithm, *number).material, algorithm)
    return {name: value for name, value in ({**jwk, **changes}).items() if value is not None}


def shared(secret: bytes = SECRET, **changes: Any) -> JWK:
    return {"kty": "oct", "k": base64url(secret), **changes}


def good(algorithm: str) -> JWK:
    return shared() if algorithm == "HS256" else public(algorithm)
