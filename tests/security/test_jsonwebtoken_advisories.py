"""What jsonwebtoken (Node.js, Auth0) was once vulnerable to, tried on our checks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.keys.key_material import public_jwk
from tests.forging import (
    ALGORITHMS,
    AUDIENCE,
    ISSUER,
    Keys,
    base64url,
    claims_with,
    forge,
    header_of,
    signing_key,
    verifier_of,
)
from tests.security.hostile import (
    GOOD,
    KEY,
    PAIRS,
    VERIFIER,
    OneKey,
    assert_no_hmac_secret,
    assert_refused,
    assert_taken,
    by_hmac,
    public_bytes,
    unsigned,
    verifier_with,
)
from tests.security.watch import Watch
from watchword_client.keys import VerificationKey
from watchword_client.token_checks import TokenChecks


@pytest.mark.parametrize("algorithm", PAIRS)
def test_cve_2015_9235_the_token_does_not_choose_how_it_is_verified(algorithm: str) -> None:
    """CVE-2015-9235: with a public key to verify by, HS256 under the text of that key, or `none`, was taken too."""
    key = signing_key(algorithm)
    pem = public_bytes(key, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for public in (
        pem,
        pem.strip(),
        pem.rstrip(b"\n") + b"\r\n",
        json.dumps(public_jwk(key.material, algorithm)).encode(),
    ):
        assert_no_hmac_secret(key, public)
    assert_refused(unsigned(header_of(key, alg="none")) + ".", verifier_of(key))


class TextKeys(Keys):
    """Fails if it is asked for a key by anything but a text."""

    def verification_key(self, kid: str, now_ms: int) -> VerificationKey | None:
        assert type(kid) is str
        return super().verification_key(kid, now_ms)


@pytest.mark.parametrize(
    "value",
    [
        {"toString": "() => 'x'"},
        {"toString": {"call": 1}},
        {"__class__": "str"},
        {},
        [],
        ["x"],
        1,
        True,
        1.5,
    ],
    ids=lambda value: json.dumps(value)[:14],
)
def test_cve_2022_23529_what_should_be_a_text_is_not_asked_to_become_one(value: Any, watch: Watch) -> None:
    """CVE-2022-23529 (withdrawn later): an object in place of the key was made a text by a method of its own.

    Here keys come from no token, but their names do: a name that is not a text is refused before any key is looked for.
    """
    verifier = TokenChecks(TextKeys(KEY), issuer=ISSUER, audience=AUDIENCE)
    assert_taken(GOOD, verifier)
    for member in ("kid", "alg", "typ"):
        with watch.on() as deeds:
            assert_refused(forge(KEY, header_of(KEY) | {member: value}, claims_with()), verifier)
            assert_refused(forge(KEY, header_of(KEY) | {member: [header_of(KEY)[member]]}, claims_with()), verifier)
        assert deeds == []


# A public key, and how its private one signs.
Signer = tuple[Any, Callable[[bytes], bytes]]


def ecdsa(curve: ec.EllipticCurve) -> Signer:
    private = ec.generate_private_key(curve)
    size = (curve.key_size + 7) // 8

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    return private.public_key(), sign


def dss() -> Signer:
    private = dsa.generate_private_key(2048)
    return private.public_key(), lambda data: private.sign(data, hashes.SHA256())


def rsa_with(padded: padding.AsymmetricPadding) -> Signer:
    private = signing_key("RS256").material
    return private.public_key(), lambda data: private.sign(data, padded, hashes.SHA256())


def ed25519_key() -> Signer:
    private = ed25519.Ed25519PrivateKey.generate()
    return private.public_key(), private.sign


# An algorithm, and what makes a key that is not of its kind.
UNFIT_KEYS: dict[str, tuple[str, Callable[[], Signer]]] = {
    "RS256 with DSA": ("RS256", dss),
    "RS256 with P-256": ("RS256", lambda: ecdsa(ec.SECP256R1())),
    "RS256 with Ed25519": ("RS256", ed25519_key),
    "RS256 with PSS": ("RS256", lambda: rsa_with(padding.PSS(padding.MGF1(hashes.SHA256()), 32))),
    "ES256 with P-384": ("ES256", lambda: ecdsa(ec.SECP384R1())),
    "ES256 with P-521": ("ES256", lambda: ecdsa(ec.SECP521R1())),
    "ES256 with secp256k1": ("ES256", lambda: ecdsa(ec.SECP256K1())),
    "ES256 with RSA": ("ES256", lambda: rsa_with(padding.PKCS1v15())),
    "ES256 with Ed25519": ("ES256", ed25519_key),
    "EdDSA with P-256": ("EdDSA", lambda: ecdsa(ec.SECP256R1())),
    "EdDSA with RSA": ("EdDSA", lambda: rsa_with(padding.PKCS1v15())),
    "HS256 with RSA": ("HS256", lambda: rsa_with(padding.PKCS1v15())),
    "HS256 with P-256": ("HS256", lambda: ecdsa(ec.SECP256R1())),
}


@pytest.mark.parametrize("name", UNFIT_KEYS)
def test_cve_2022_23539_a_key_of_another_kind_verifies_nothing(name: str) -> None:
    """CVE-2022-23539: any kind of key went with any algorithm, such as DSA with RS256.

    Even where somebody has put such a key among ours, its tokens are refused, as any other is.
    """
    algorithm, make = UNFIT_KEYS[name]
    public, sign = make()
    body = unsigned(header_of(KEY, alg=algorithm))
    assert_refused(f"{body}.{base64url(sign(body.encode()))}", verifier_with(algorithm, public))
    fit, sign_fit = ecdsa(ec.SECP256R1())
    body = unsigned(header_of(KEY))
    assert_taken(f"{body}.{base64url(sign_fit(body.encode()))}", verifier_with("ES256", fit))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_cve_2022_23540_a_verifier_without_a_list_or_a_key_takes_no_unsigned_token(algorithm: str) -> None:
    """CVE-2022-23540: where no algorithms were given and the key was empty, `none` was the default.

    Here the algorithm comes with the key, so none can be forgotten; an empty key verifies nothing either.
    """
    key = signing_key(algorithm)
    assert_taken(forge(key, header_of(key), claims_with()), verifier_of(key))
    for verifier in (verifier_of(key), verifier_with(algorithm, b""), verifier_with(algorithm, "")):
        for header in (
            header_of(key, alg="none"),
            header_of(key, alg="NONE"),
            header_of(key, alg=None),
            header_of(key),
        ):
            for last in ("", base64url(b"\0")):
                assert_refused(f"{unsigned(header)}.{last}", verifier)
            assert_refused(by_hmac(b"", header), verifier)


@pytest.mark.parametrize("algorithm", PAIRS)
def test_cve_2022_23541_one_source_of_keys_for_both_kinds_confuses_none(algorithm: str) -> None:
    """CVE-2022-23541: a function that looked up secrets and public keys alike let a public key pass for a secret."""
    secret, key = signing_key("HS256"), signing_key(algorithm)
    both = TokenChecks(Keys(secret, key), issuer=ISSUER, audience=AUDIENCE)
    assert_taken(forge(secret, header_of(secret), claims_with()), both)
    assert_taken(forge(key, header_of(key), claims_with()), both)
    public = public_bytes(key, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for material in (public, secret.material):
        for header in (header_of(key), header_of(key, alg="HS256"), header_of(secret, kid=key.kid)):
            assert_refused(by_hmac(material, header), both)
    assert_refused(by_hmac(public, header_of(secret)), both)
    assert_refused(forge(key, header_of(secret), claims_with()), both)
    # Nor where the source answers to any name with the same key.
    assert_refused(
        by_hmac(public, header_of(secret)),
        TokenChecks(OneKey(algorithm, key.material.public_key()), issuer=ISSUER, audience=AUDIENCE),
    )
    assert_taken(forge(key, header_of(key), claims_with()), verifier_of(key))
    assert_taken(GOOD, VERIFIER)
