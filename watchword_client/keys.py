"""A key that verifies tokens, and the names that keys have (RFC 7638)."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from watchword_client.encoding import encode_base64url

# The algorithm with a shared secret: everybody who can verify can also sign.
SHARED = "HS256"
# RFC 7518 sections 3.2 and 3.3.
MINIMUM_SECRET_BYTES = 32
MINIMUM_RSA_BITS = 2048
MAXIMUM_RSA_BITS = 8192

# RFC 7638 section 3.2: the members that make a thumbprint, in the order of their names.
THUMBPRINT_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key with the one algorithm that it may be used with (RFC 8725 section 3.1)."""

    kid: str
    algorithm: str
    # It is not in the repr, because tracebacks may show variables.
    material: Any = field(repr=False)


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """The name of a public key, computed from the key itself (RFC 7638, with SHA-256)."""
    members = {name: jwk[name] for name in THUMBPRINT_MEMBERS[jwk["kty"]]}
    return encode_base64url(
        hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest()
    )


def secret_kid(secret: bytes) -> str:
    """A name for a shared secret that changes with it and says nothing about it."""
    return encode_base64url(hmac.digest(secret, b"watchword HS256 kid", hashlib.sha256)[:12])
