"""Signs access tokens (RFC 9068)."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, Protocol

import cryptography.hazmat.backends.openssl.backend  # noqa: F401 - else imported by the first signature with ECDSA
import jwt
import orjson
from jwt.algorithms import Algorithm

from server.keys.key_material import SigningKey
from watchword_client.claims import AccessClaims
from watchword_client.encoding import encode_base64url

TYPE = "at+jwt"


class SigningKeys(Protocol):
    """A source of the key that signs."""

    def signing_key(self) -> SigningKey:
        """The key that signs now. Raises StoreUnavailable if there is none."""
        ...


class Signer:
    """Signs JWTs.

    The signature is made by PyJWT. The three segments are put together here, since PyJWT's own `encode` takes as long
    for that as for the signature: it writes and checks the header anew for each token.
    """

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys
        self._latest: _Prepared | None = None

    def sign(self, claims: AccessClaims) -> str:
        """A token with `typ` at+jwt and with `kid` and `alg` of the key that signs now (RFC 7515 section 3.1)."""
        key = self._keys.signing_key()
        prepared = self._latest
        if prepared is None or prepared.key is not key:
            prepared = self._latest = _prepare(key)
        signed = f"{prepared.header}.{encode_base64url(_json(claims.to_jwt()))}"
        signature = prepared.algorithm.sign(signed.encode("ascii"), prepared.material)
        return f"{signed}.{encode_base64url(signature)}"


def _json(members: dict[str, Any]) -> bytes:
    """In ASCII, which the longest issuer and audience in the settings are computed for."""
    content = orjson.dumps(members)
    return content if content.isascii() else json.dumps(members, separators=(",", ":")).encode("ascii")


class _Prepared(NamedTuple):
    """A key with what is the same in all of its tokens."""

    key: SigningKey
    header: str
    algorithm: Algorithm
    material: Any


def _prepare(key: SigningKey) -> _Prepared:
    header = {"alg": key.algorithm, "kid": key.kid, "typ": TYPE}
    algorithm = jwt.get_algorithm_by_name(key.algorithm)
    return _Prepared(key, encode_base64url(orjson.dumps(header)), algorithm, algorithm.prepare_key(key.material))
