"""Key material: keys of each algorithm are made, dumped to be sealed, loaded and published (RFC 7518, RFC 8037)."""

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

# What signs with a key pair; SHARED signs with a secret that verifiers have too.
ASYMMETRIC = ("ES256", "EdDSA", "RS256")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key with the one algorithm that it signs with."""

    kid: str
    algorithm: str
    # Not in its text: tracebacks may show what is in a variable.
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
    """The inverse of `dump`. Raises ValueError, and TypeError for a key of another kind."""
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
    members = {name: jwk[name] for name in THUMBPRINT_MEMBERS[jwk["kty"]]}
    return {**members, "alg": algorithm, "use": "sig", "kid": thumbprint(members)}


def shared_secret(text: str) -> SigningKey:
    """The key of HS256 that a text of the settings is."""
    material = text.encode("utf-8")
    return SigningKey(secret_kid(material), SHARED, material)
