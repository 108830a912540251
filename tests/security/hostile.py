"""What the files of hostile tokens share: how tokens are judged, and how some of them are made."""

from __future__ import annotations

import hashlib
import hmac
import json
import tracemalloc
import warnings
import zlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, RSAKey

from server.keys.key_material import SigningKey
from tests.clock import START_MS
from tests.forging import (
    AUDIENCE,
    CLAIMS,
    ISSUER,
    SECRET,
    Keys,
    base64url,
    claims_with,
    forge,
    header_of,
    signature,
    signing_key,
    verifier_of,
)
from watchword_client.errors import TokenInvalid
from watchword_client.keys import VerificationKey
from watchword_client.token_checks import MAXIMUM_LENGTH, TokenChecks

PAIRS = ("ES256", "EdDSA", "RS256")
# Of the curve of ES256 (SEC 2 section 2.4.2).
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
KEY = signing_key("ES256")
VERIFIER = verifier_of(KEY)
GOOD = forge(KEY, header_of(KEY), claims_with())
HEADER = json.dumps(header_of(KEY))
PAYLOAD = json.dumps(claims_with())


def assert_refused(token: str, verifier: TokenChecks = VERIFIER, now_ms: int = START_MS) -> None:
    """As `token_invalid`; expired is another thing, and any other exception a defect."""
    with pytest.raises(TokenInvalid):
        verifier.verify(token, now_ms)


def assert_taken(token: str, verifier: TokenChecks = VERIFIER, now_ms: int = START_MS) -> None:
    """Shows that nothing else is wrong with the tokens of a test."""
    assert verifier.verify(token, now_ms).session_id == CLAIMS.session_id


class OneKey:
    """Believes one key, whatever a token calls it."""

    def __init__(self, algorithm: str, material: Any) -> None:
        self._algorithm = algorithm
        self._material = material

    def verification_key(self, kid: str, now_ms: int) -> VerificationKey:
        assert now_ms > 0
        return VerificationKey(kid, self._algorithm, self._material)


def verifier_with(algorithm: str, material: Any) -> TokenChecks:
    """A verifier that was handed this as its only key, fit or not."""
    return TokenChecks(OneKey(algorithm, material), issuer=ISSUER, audience=AUDIENCE)


def unsigned(header: dict[str, Any], claims: dict[str, Any] | None = None) -> str:
    """The first two segments."""
    return f"{base64url(json.dumps(header).encode())}.{base64url(json.dumps(claims or claims_with()).encode())}"


def signed(header: str, payload: str, key: SigningKey = KEY) -> str:
    """A right signature over two segments, however they are spelt."""
    body = f"{header}.{payload}"
    return f"{body}.{base64url(signature(key.algorithm, key.material, body))}"


def by_hmac(secret: bytes, header: dict[str, Any]) -> str:
    """A token with good claims and the MAC of HS256, whatever its header says."""
    body = unsigned(header)
    return f"{body}.{base64url(hmac.digest(secret, body.encode(), hashlib.sha256))}"


def public_bytes(key: SigningKey, encoding: Encoding, form: PublicFormat) -> bytes:
    """The public half as it may be published."""
    data: bytes = key.material.public_key().public_bytes(encoding, form)
    return data


def assert_no_hmac_secret(key: SigningKey, public: bytes) -> None:
    """What is published of a key signs nothing by HMAC.

    Not where that key is believed, whatever the header says; not where it is believed beside a secret; and not even
    where somebody took it for the secret itself.
    """
    secret = signing_key("HS256")
    both = TokenChecks(Keys(secret, key), issuer=ISSUER, audience=AUDIENCE)
    for verifier in (verifier_of(key), both):
        assert_taken(forge(key, header_of(key), claims_with()), verifier)
        assert_refused(by_hmac(public, header_of(key, alg="HS256")), verifier)
        assert_refused(by_hmac(public, header_of(key)), verifier)
    assert_taken(by_hmac(SECRET, header_of(secret)), verifier_with("HS256", SECRET))
    assert_refused(by_hmac(public, header_of(secret)), verifier_with("HS256", public))


def encrypted(key: SigningKey, plaintext: bytes, header: dict[str, Any]) -> str:
    """A JWE that whoever holds the key can decrypt, as is shown; for HS256, its first 32 bytes are the secret."""
    if key.algorithm == "HS256":
        recipient: Any = OctKey.import_key(key.material[:32])
    else:
        pem = key.material.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        recipient = (ECKey if key.algorithm == "ES256" else RSAKey).import_key(pem)
    algorithms = [header["alg"], header["enc"], "DEF"]
    with warnings.catch_warnings():
        # joserfc has its own mind about some algorithms.
        warnings.simplefilter("ignore")
        token = jwe.encrypt_compact(header, plaintext, recipient, algorithms=algorithms)
        if len(plaintext) < 100_000:
            assert jwe.decrypt_compact(token, recipient, algorithms=algorithms).plaintext == plaintext
    return token


def assert_not_decompressed(size: int) -> None:
    """A token that would become so many bytes is refused in the memory that any token takes."""
    key = signing_key("HS256")
    bomb = b" " * size + PAYLOAD.encode()
    header = header_of(key, zip="DEF")
    inside = encrypted(key, bomb, header | {"alg": "dir", "enc": "A256GCM"})
    tokens = (inside, forge(key, header, zlib.compress(bomb, 9)), forge(key, header, deflated(bomb)))
    assert all(len(token) <= MAXIMUM_LENGTH for token in tokens)
    tracemalloc.start()
    try:
        for token in tokens:
            assert_refused(token, verifier_of(key))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < min(size, 200_000)


def deflated(data: bytes) -> bytes:
    """As `zip` has it: DEFLATE alone (RFC 7516 section 4.1.3)."""
    compressor = zlib.compressobj(9, wbits=-15)
    return compressor.compress(data) + compressor.flush()
