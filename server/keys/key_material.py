"""Makes keys of each algorithm, and converts them to bytes and to JWKs (RFC 7518, RFC 8037)."""

from __future__ import annotations

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

from watchword_client.keys import SHARED, THUMBPRINT_MEMBERS, secret_kid, thumbprint

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

# The algorithms with a key pair. SHARED (HS256) has one secret, which verifiers need too.
ASYMMETRIC = ("ES256", "EdDSA", "RS256")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key with the one algorithm that it signs with."""

    kid: str
    algorithm: str
    # Not in its repr, since tracebacks may show variables.
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
    """The private key as PKCS #8 (DER), unencrypted; the caller seals it."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def load(data: bytes) -> PrivateKey:
    """The private key from the bytes of `dump`. Raises ValueError, or TypeError for another kind of key."""
    key = load_der_private_key(data, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey):
        raise TypeError("not a key of ours")
    return key


def public_jwk(key: PrivateKey, algorithm: str) -> dict[str, str]:
    """The public key as a JWK (RFC 7517 section 4); its `kid` is the thumbprint of RFC 7638."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        jwk = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        jwk = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        jwk = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    members = {name: jwk[name] for name in THUMBPRINT_MEMBERS[jwk["kty"]]}
    return {**members, "alg": algorithm, "use": "sig", "kid": thumbprint(members)}


def shared_secret(text: str) -> SigningKey:
    """The HS256 key made of a secret from the settings."""
    material = text.encode("utf-8")
    return SigningKey(secret_kid(material), SHARED, material)
