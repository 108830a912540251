"""Keys and tokens to test with, among them tokens that this server would never sign."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from functools import cache
from typing import Any

from jwt.algorithms import get_default_algorithms

from server.keys.key_material import SigningKey, generate, public_jwk
from server.keys.model import KeyRecord
from tests.clock import START_MS
from watchword_client.claims import AccessClaims
from watchword_client.jwk import load_jwk
from watchword_client.keys import VerificationKey, secret_kid
from watchword_client.token_checks import TokenChecks

ALGORITHMS = ("ES256", "EdDSA", "RS256", "HS256")
SECRET = b"a shared secret of more than 32 bytes, for tests"
ISSUER = "https://auth.example"
AUDIENCE = "https://api.example"
NOW = START_MS // 1000

CLAIMS = AccessClaims(
    issuer=ISSUER,
    subject="01990000-0000-7000-8000-000000000001",
    audience=AUDIENCE,
    issued_at=NOW,
    expires_at=NOW + 900,
    jti="01990000-0000-7000-8000-000000000002",
    session_id="01990000-0000-7000-8000-000000000003",
    role="customer",
    username="lak",
    auth_time=NOW - 60,
    amr=("pwd",),
)


@cache
def signing_key(algorithm: str, number: int = 1) -> SigningKey:
    """The same key for the same arguments; RSA keys are slow to make."""
    if algorithm == "HS256":
        secret = SECRET + bytes([number])
        return SigningKey(secret_kid(secret), algorithm, secret)
    private = generate(algorithm)
    return SigningKey(public_jwk(private, algorithm)["kid"], algorithm, private)


def verification_key(key: SigningKey) -> VerificationKey:
    if key.algorithm == "HS256":
        return VerificationKey(key.kid, key.algorithm, key.material)
    return load_jwk(public_jwk(key.material, key.algorithm))


def record(key: SigningKey, activates_at: int, ttl_seconds: int = 900, **changes: Any) -> KeyRecord:
    """As the store holds it, but for the private half."""
    shared = key.algorithm == "HS256"
    jwk = "" if shared else json.dumps(public_jwk(key.material, key.algorithm))
    sealed = b"" if shared else b"sealed"
    made = KeyRecord(key.kid, key.algorithm, jwk, sealed, activates_at, activates_at, ttl_seconds)
    return replace(made, **changes)


class Keys:
    """Some keys; the first one signs."""

    def __init__(self, *keys: SigningKey) -> None:
        self._first = keys[0]
        self._believed = {key.kid: verification_key(key) for key in keys}

    def signing_key(self) -> SigningKey:
        return self._first

    def verification_key(self, kid: str, now_ms: int) -> VerificationKey | None:
        assert now_ms > 0
        return self._believed.get(kid)


def verifier_of(*keys: SigningKey) -> TokenChecks:
    return TokenChecks(Keys(*keys), issuer=ISSUER, audience=AUDIENCE)


def header_of(key: SigningKey, **changes: Any) -> dict[str, Any]:
    """The header of a good token, with changes; None takes a member out."""
    return _changed({"typ": "at+jwt", "alg": key.algorithm, "kid": key.kid}, changes)


def claims_with(**changes: Any) -> dict[str, Any]:
    """The claims of a good token, with changes; None takes one out."""
    return _changed(CLAIMS.to_jwt(), changes)


def forge(key: SigningKey, header: dict[str, Any] | bytes, claims: dict[str, Any] | bytes) -> str:
    """A token with a right signature, whatever it says."""
    signed = f"{base64url(_bytes(header))}.{base64url(_bytes(claims))}"
    return f"{signed}.{base64url(signature(key.algorithm, key.material, signed))}"


def signature(algorithm: str, material: Any, signed: str) -> bytes:
    """Straight from the algorithm: none of the checks that stand before it."""
    made: bytes = get_default_algorithms()[algorithm].sign(signed.encode(), material)
    return made


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(part: dict[str, Any] | bytes) -> bytes:
    return part if isinstance(part, bytes) else json.dumps(part, separators=(",", ":")).encode()


def _changed(members: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (members | changes).items() if value is not None}
