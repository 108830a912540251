"""JSON Web Algorithms (RFC 7518): a key has one algorithm, and a signature is what that algorithm says it is."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from jwt.algorithms import get_default_algorithms

from server.keys.key_material import SigningKey
from tests.clock import START_MS
from tests.forging import (
    ALGORITHMS,
    AUDIENCE,
    CLAIMS,
    ISSUER,
    Keys,
    base64url,
    claims_with,
    forge,
    header_of,
    signature,
    signing_key,
    verifier_of,
)
from tests.security.hostile import KEY, P256_ORDER, VERIFIER, assert_refused, assert_taken, unsigned
from watchword_client.token_checks import TokenChecks

# Of the base point (RFC 8032 section 5.1).
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(ALGORITHMS, 2)))
def test_no_key_answers_for_another(one: str, other: str) -> None:
    """RFC 8725 section 3.1: of two keys of two algorithms, mixed in every way, each verifies its own tokens alone."""
    signer, named = signing_key(one), signing_key(other)
    both = TokenChecks(Keys(signer, named), issuer=ISSUER, audience=AUDIENCE)
    for verifier in (both, verifier_of(signer)):
        assert_taken(forge(signer, header_of(signer), claims_with()), verifier)
        assert_refused(forge(signer, header_of(signer, alg=other), claims_with()), verifier)
    for verifier in (both, verifier_of(named)):
        assert_taken(forge(named, header_of(named), claims_with()), verifier)
        for header in (header_of(named), header_of(named, alg=one), header_of(signer, kid=named.kid)):
            assert_refused(forge(signer, header, claims_with()), verifier)
    # Keys that share a name, as two issuers may choose it: the last one is believed.
    same_name = TokenChecks(Keys(signer, replace(named, kid=signer.kid)), issuer=ISSUER, audience=AUDIENCE)
    assert_taken(forge(named, header_of(named, kid=signer.kid), claims_with()), same_name)
    assert_refused(forge(signer, header_of(signer), claims_with()), same_name)


@pytest.mark.parametrize(
    ("algorithm", "said"),
    [("RS256", "PS256"), ("RS256", "RS384"), ("RS256", "RS512"), ("HS256", "HS384"), ("HS256", "HS512")],
)
def test_another_algorithm_of_the_same_kind_of_key_is_another(algorithm: str, said: str) -> None:
    """RFC 8725 sections 3.1 and 3.2: rightly signed by it and named in the header, under a key that could do it."""
    key = signing_key(algorithm)
    for named in (said, algorithm):
        body = unsigned(header_of(key, alg=named))
        made = get_default_algorithms()[said].sign(body.encode(), key.material)
        assert get_default_algorithms()[said].verify(body.encode(), public_material(key), made)
        assert_refused(f"{body}.{base64url(made)}", verifier_of(key))
    assert_taken(forge(key, header_of(key), claims_with()), verifier_of(key))


def public_material(key: SigningKey) -> Any:
    return key.material if key.algorithm == "HS256" else key.material.public_key()


@pytest.mark.parametrize("digest", [hashes.SHA1(), hashes.SHA512()], ids=["sha1", "sha512"])  # noqa: S303 - an attack
def test_another_digest_is_another_algorithm(digest: hashes.HashAlgorithm) -> None:
    """RFC 7518 sections 3.2 to 3.4: SHA-256 and no other, where the header says so."""
    rsa_key, secret = signing_key("RS256"), signing_key("HS256")
    body = unsigned(header_of(rsa_key))
    assert_refused(
        f"{body}.{base64url(rsa_key.material.sign(body.encode(), padding.PKCS1v15(), digest))}", verifier_of(rsa_key)
    )
    body = unsigned(header_of(KEY))
    r, s = decode_dss_signature(KEY.material.sign(body.encode(), ec.ECDSA(digest)))
    assert_refused(f"{body}.{base64url(concatenated(r, s))}")
    body = unsigned(header_of(secret))
    assert_refused(f"{body}.{base64url(hmac.digest(secret.material, body.encode(), digest.name))}", verifier_of(secret))


def test_a_cut_mac_is_refused() -> None:
    """RFC 7518 section 3.2: HMAC is compared whole, also where an empty one would be equal to nothing."""
    key = signing_key("HS256")
    body = unsigned(header_of(key))
    whole = hmac.digest(key.material, body.encode(), hashlib.sha256)
    assert_taken(f"{body}.{base64url(whole)}", verifier_of(key))
    for size in range(len(whole)):
        assert_refused(f"{body}.{base64url(whole[:size])}", verifier_of(key))
        assert_refused(f"{body}.{base64url(whole[:size] + bytes(len(whole) - size - 1) + b'x')}", verifier_of(key))


def concatenated(r: int, s: int) -> bytes:
    """A signature as RFC 7518 section 3.4 has it."""
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def es256() -> tuple[str, int, int]:
    """The first two segments of a token, and r and s of its signature."""
    body = unsigned(header_of(KEY))
    made = signature("ES256", KEY.material, body)
    return body, int.from_bytes(made[:32], "big"), int.from_bytes(made[32:], "big")


def test_the_twin_of_an_ecdsa_signature_says_the_same_and_nothing_more() -> None:
    """RFC 7518 section 3.4: (r, n - s) is as right as (r, s), and anybody can work it out; signers make either.

    So the text of a token is no name for it. The twin has the same claims, hence the same session, and by that tokens
    are revoked (tests/security/test_hostile_requests.py).
    """
    body, r, s = es256()
    assert VERIFIER.verify(f"{body}.{base64url(concatenated(r, s))}", START_MS) == CLAIMS
    assert VERIFIER.verify(f"{body}.{base64url(concatenated(r, P256_ORDER - s))}", START_MS) == CLAIMS


def test_no_other_change_of_an_ecdsa_signature_is_taken() -> None:
    """RFC 7518 section 3.4: two numbers of 32 bytes, below the order; no DER, no other length."""
    body, r, s = es256()
    order = P256_ORDER
    for pair in (
        (order - r, s),
        (order - r, order - s),
        (s, r),
        (r, 0),
        (0, s),
        (r, order),
        (order, s),
        (r, r),
        (s, s),
        (1, 1),
    ):
        assert_refused(f"{body}.{base64url(concatenated(*pair))}")
    der = KEY.material.sign(body.encode(), ec.ECDSA(hashes.SHA256()))
    assert_taken(f"{body}.{base64url(concatenated(*decode_dss_signature(der)))}")
    longer = b"\0" + r.to_bytes(32, "big") + b"\0" + s.to_bytes(32, "big")
    for made in (der, longer, concatenated(r, s).hex().encode(), concatenated(r, s) + b"\0", concatenated(r, s)[:63]):
        assert_refused(f"{body}.{base64url(made)}")


@pytest.mark.parametrize(
    "change",
    [
        lambda point, s: (point, s + ED25519_ORDER),
        lambda point, s: (point, s + 2 * ED25519_ORDER),
        lambda point, s: (point, ED25519_ORDER - s),
        lambda point, s: (point, s | 1 << 255),
        lambda point, s: (point ^ 1 << 255, s),
        lambda point, _: (point, 0),
        lambda _, s: (1, s),
        lambda *_: (1, 0),
    ],
    ids=["s + L", "s + 2 L", "L - s", "top bit of s", "sign of R", "s of 0", "R of small order", "both"],
)
def test_an_eddsa_signature_has_no_twin(change: Callable[[int, int], tuple[int, int]]) -> None:
    """RFC 8032 section 8.4: S is below the order of the base point."""
    key = signing_key("EdDSA")
    body = unsigned(header_of(key))
    made = signature("EdDSA", key.material, body)
    assert_taken(f"{body}.{base64url(made)}", verifier_of(key))
    point, s = change(int.from_bytes(made[:32], "little"), int.from_bytes(made[32:], "little"))
    changed = point.to_bytes(32, "little") + s.to_bytes(32, "little")
    assert changed != made
    assert_refused(f"{body}.{base64url(changed)}", verifier_of(key))


def test_an_rsa_signature_has_no_twin() -> None:
    """RFC 8017 section 8.2.2: a signature is below the modulus, and as long as it; s + n is the same to no verifier."""
    key = signing_key("RS256")
    numbers: rsa.RSAPublicNumbers = key.material.public_key().public_numbers()
    for number in itertools.count():
        body = unsigned(header_of(key), claims_with(other=number))
        made = signature("RS256", key.material, body)
        s = int.from_bytes(made, "big")
        if s + numbers.n < 2**2048:
            break
    assert_taken(f"{body}.{base64url(made)}", verifier_of(key))
    for changed in (s + numbers.n, numbers.n - s, 0, 1, numbers.n - 1, numbers.n):
        assert_refused(f"{body}.{base64url(changed.to_bytes(256, 'big'))}", verifier_of(key))
    for wrong in (b"\0" + made, made.lstrip(b"\0")[1:], made + b"\0", json.dumps(s).encode()):
        assert_refused(f"{body}.{base64url(wrong)}", verifier_of(key))
