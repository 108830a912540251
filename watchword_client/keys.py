"""Key material: making, sealing and publishing keys of each algorithm (RFC 7518, RFC 8037)."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from watchword_client.encoding import encode_base64url

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

# What signs with a key pair, and what signs with a secret that verifiers have too.
ASYMMETRIC = ("ES256", "EdDSA", "RS256")
SHARED = "HS256"
# RFC 7518 sections 3.2 and 3.3.
MINIMUM_SECRET_BYTES = 32
MINIMUM_RSA_BITS = 2048
MAXIMUM_RSA_BITS = 8192

# RFC 7638 section 3.2: the members that make a thumbprint, in the order of their names.
_THUMBPRINT_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key with the one algorithm that it may be used with (RFC 8725 section 3.1)."""

    kid: str
    algorithm: str
    # Not in its text: tracebacks may show what is in a variable.
    material: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The same for signing."""

    kid: str
    algorithm: str
    material: Any = field(repr=False)


def generate(algorithm: str) -> PrivateKey:
    """A new private key for ES256, EdDSA or RS256."""
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    raise ValueError(f"no key pair for {algorithm}")


def dump(key: PrivateKey) -> bytes:
    """PKCS #8, unencrypted: to be sealed at once."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def load(data: bytes) -> PrivateKey:
    """The inverse of `dump`."""
    key = load_der_private_key(data, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey):
        raise TypeError("not a key of ours")
    return key


def public_jwk(key: PrivateKey, algorithm: str) -> dict[str, str]:
    """The public half as a JWK (RFC 7517 section 4), its kid the thumbprint of RFC 7638."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        jwk = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        jwk = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        jwk = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    members = {name: jwk[name] for name in _THUMBPRINT_MEMBERS[jwk["kty"]]}
    return {**members, "alg": algorithm, "use": "sig", "kid": thumbprint(members)}


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """The name of a public key that follows from the key itself (RFC 7638, with SHA-256)."""
    members = {name: jwk[name] for name in _THUMBPRINT_MEMBERS[jwk["kty"]]}
    return encode_base64url(
        hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest()
    )


def shared_secret(text: str) -> SigningKey:
    """The key of HS256 that a text of the settings is."""
    material = text.encode("utf-8")
    return SigningKey(secret_kid(material), SHARED, material)


def secret_kid(secret: bytes) -> str:
    """A name for a shared secret that changes with it and says nothing about it."""
    return encode_base64url(hmac.digest(secret, b"watchword HS256 kid", hashlib.sha256)[:12])
