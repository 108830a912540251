"""Signs access tokens (RFC 9068)."""

from __future__ import annotations

from typing import Protocol

import cryptography.hazmat.backends.openssl.backend  # noqa: F401 - else imported by the first signature with ECDSA
import jwt

from server.keys.key_material import SigningKey
from watchword_client.claims import AccessClaims

TYPE = "at+jwt"


class SigningKeys(Protocol):
    """A source of the key that signs."""

    def signing_key(self) -> SigningKey:
        """The key that signs now. Raises StoreUnavailable if there is none."""
        ...


class Signer:
    """Signs JWTs."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys

    def sign(self, claims: AccessClaims) -> str:
        """A token with `typ` at+jwt and with `kid` and `alg` of the key that signs now."""
        key = self._keys.signing_key()
        headers = {"typ": TYPE, "kid": key.kid}
        return jwt.encode(claims.to_jwt(), key.material, algorithm=key.algorithm, headers=headers)
