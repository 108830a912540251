"""What PyJWT was once vulnerable to, tried on our checks, which does not lean on PyJWT's fixes alone.

Advisories about fetching a JWKS and importing JWKs are not here, but for one.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.keys.key_material import SigningKey, public_jwk
from tests.clock import START_MS
from tests.forging import (
    AUDIENCE,
    ISSUER,
    NOW,
    SECRET,
    base64url,
    claims_with,
    forge,
    header_of,
    signature,
    signing_key,
    verifier_of,
)
from tests.security.endless import ends
from tests.security.hostile import (
    GOOD,
    KEY,
    PAIRS,
    PAYLOAD,
    VERIFIER,
    assert_no_hmac_secret,
    assert_refused,
    assert_taken,
    by_hmac,
    public_bytes,
    verifier_with,
)
from tests.security.watch import Trap, Watch
from watchword_client.errors import KeyRefused, TokenExpired, TokenInvalid
from watchword_client.jwk import KeySet, load_jwk
from watchword_client.keys import VerificationKey
from watchword_client.token_checks import MAXIMUM_LENGTH, TokenChecks


@pytest.mark.parametrize("algorithm", PAIRS)
def test_dsa_3293_1_a_public_key_is_no_hmac_secret(algorithm: str) -> None:
    """DSA-3293-1 (2015): a public RSA or EC key was taken as the secret of HS256."""
    key = signing_key(algorithm)
    assert_no_hmac_secret(key, public_bytes(key, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def test_cve_2017_11424_a_pkcs1_public_key_is_no_hmac_secret() -> None:
    """CVE-2017-11424: `BEGIN RSA PUBLIC KEY` was not among the texts that were kept from being a secret."""
    key = signing_key("RS256")
    assert_no_hmac_secret(key, public_bytes(key, Encoding.PEM, PublicFormat.PKCS1))


@pytest.mark.parametrize("algorithm", PAIRS)
def test_cve_2022_29217_an_openssh_public_key_is_no_hmac_secret(algorithm: str) -> None:
    """CVE-2022-29217: nor were public keys as OpenSSH writes them."""
    key = signing_key(algorithm)
    assert_no_hmac_secret(key, public_bytes(key, Encoding.OpenSSH, PublicFormat.OpenSSH))


@pytest.mark.parametrize("issuer", [ISSUER[:-1], ISSUER[1:], ISSUER[:1], "auth", ISSUER + "x"])
def test_cve_2024_53861_a_part_of_the_issuer_is_not_the_issuer(issuer: str) -> None:
    """CVE-2024-53861: `iss` was looked for inside the expected text."""
    assert_taken(forge(KEY, header_of(KEY), claims_with()))
    assert_refused(forge(KEY, header_of(KEY), claims_with(iss=issuer)))


def test_cve_2025_45768_a_secret_below_256_bits_verifies_nothing() -> None:
    """CVE-2025-45768: keys of any length were used (RFC 7518 section 3.2)."""
    for length, judged in ((32, assert_taken), (31, assert_refused), (1, assert_refused)):
        key = replace(signing_key("HS256"), material=SECRET[:length])
        judged(forge(key, header_of(key), claims_with()), verifier_of(key))


def test_cve_2025_45768_an_rsa_key_below_2048_bits_verifies_nothing() -> None:
    """CVE-2025-45768: the same for RSA (RFC 7518 section 3.3)."""
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505
    key = SigningKey(public_jwk(weak, "RS256")["kid"], "RS256", weak)
    with pytest.raises(KeyRefused, match="2048"):
        load_jwk(public_jwk(weak, "RS256"))
    believed = KeySet([VerificationKey(key.kid, "RS256", weak.public_key())])
    assert_refused(forge(key, header_of(key), claims_with()), TokenChecks(believed, issuer=ISSUER, audience=AUDIENCE))
    strong = signing_key("RS256")
    assert_taken(forge(strong, header_of(strong), claims_with()), verifier_of(strong))


@pytest.mark.parametrize("critical", [["x-policy"], ["b64"], ["exp"], [], "x-policy", [1], [["alg"]]])
def test_cve_2026_32597_a_critical_extension_is_not_passed_over(critical: object) -> None:
    """CVE-2026-32597: `crit` was not looked at (RFC 7515 section 4.1.11)."""
    assert_refused(forge(KEY, header_of(KEY, **{"crit": critical, "x-policy": "mfa"}), claims_with()))
    assert_refused(forge(KEY, header_of(KEY, crit=critical), claims_with()))


def test_cve_2026_48522_no_token_says_where_keys_are_read(watch: Watch, trap: Trap) -> None:
    """CVE-2026-48522: an address, as a `jku` may give it, could be file://, ftp:// or data:."""
    assert_taken(GOOD)
    for address in ("file:///etc/passwd", trap.url(scheme="ftp"), trap.url(), "data:application/json,{}"):
        with watch.on() as deeds:
            assert_refused(forge(KEY, header_of(KEY, jku=address), claims_with()))
        assert deeds == []
    assert trap.visitors() == 0


@pytest.mark.parametrize(("algorithm", "said"), [("RS256", "PS256"), ("RS256", "RS512"), ("ES256", "RS256")])
def test_cve_2026_48523_a_token_has_to_name_the_algorithm_that_signed_it(algorithm: str, said: str) -> None:
    """CVE-2026-48523: the key's algorithm verified what the header had got past the list under another name."""
    key = signing_key(algorithm)
    assert_refused(forge(key, header_of(key, alg=said), claims_with()), verifier_of(key))


@pytest.mark.parametrize("payload", ["", "A" * 3000])
def test_cve_2026_48525_a_detached_payload_is_refused(payload: str) -> None:
    """CVE-2026-48525: with `b64` false a payload of any size was decoded for nothing."""
    header = base64url(json.dumps(header_of(KEY, b64=False, crit=["b64"])).encode())
    made = signature("ES256", KEY.material, f"{header}.{json.dumps(claims_with())}")
    assert_refused(f"{header}.{payload}.{base64url(made)}")


@pytest.mark.parametrize("algorithm", PAIRS)
def test_cve_2026_48526_a_public_jwk_is_no_hmac_secret(algorithm: str) -> None:
    """CVE-2026-48526: nor was a public key in JSON kept from being a secret."""
    key = signing_key(algorithm)
    jwk = public_jwk(key.material, algorithm)
    assert_no_hmac_secret(key, json.dumps(jwk).encode())
    assert_no_hmac_secret(key, json.dumps(jwk, separators=(",", ":")).encode())


def test_cve_2026_101918_deeply_nested_claims_are_refused() -> None:
    """CVE-2026-101918: nested claims ended in a RecursionError."""
    nested = b'%b,"x":%b' % (PAYLOAD.encode()[:-1], b"[" * 1200)
    assert_refused(forge(KEY, header_of(KEY), nested))
    token = forge(KEY, header_of(KEY), nested + b"]" * 1200 + b"}")
    assert len(token) < MAXIMUM_LENGTH
    # How deep is too deep is Python's affair; it differs between its versions.
    with suppress(TokenInvalid):
        assert_taken(token)


@pytest.mark.parametrize("nest", [b"[" * 2500, b'{"a":' * 500, b'{"alg":' + b"[" * 2500])
def test_cve_2026_102265_a_deeply_nested_header_is_refused(nest: bytes) -> None:
    """CVE-2026-102265: a nested header did the same, without any signature."""
    assert_refused(f"{base64url(nest)}.e30.AAAA")


def test_cve_2026_102266_an_empty_secret_verifies_nothing() -> None:
    """CVE-2026-102266: an empty HMAC key was taken when it came as a JWK."""
    key = replace(signing_key("HS256"), material=b"")
    assert_refused(forge(key, header_of(key), claims_with()), verifier_of(key))


@pytest.mark.parametrize("before", [b" ", b"\n", b"\r\n", b"\t", b"\xef\xbb\xbf"])
def test_cve_2026_102268_a_public_key_with_other_whitespace_is_no_hmac_secret(before: bytes) -> None:
    """CVE-2026-102268: whitespace in a PEM text hid that it was a public key."""
    for algorithm in PAIRS:
        key = signing_key(algorithm)
        pem = public_bytes(key, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for public in (before + pem, pem.replace(b"\n", b"\r\n"), pem.replace(b"\n", before), pem.strip()):
            assert_no_hmac_secret(key, public)


@pytest.mark.parametrize("more", ["!!!!", "=", "==", "\n", " ", "%%", "!"])
def test_cve_2026_102269_a_signature_has_one_spelling(more: str) -> None:
    """CVE-2026-102269: characters outside the alphabet were skipped in the signature."""
    token = forge(KEY, header_of(KEY), claims_with())
    assert_taken(token)
    assert_refused(token + more)
    assert_refused(token[:-4] + more + token[-4:])


@pytest.mark.parametrize("repeated", [b"-----BEGIN ", b"-----BEGIN A", b"-", b"-----BEGIN A-----\n", b"\n \n"])
def test_cve_2026_102270_a_secret_that_is_nearly_a_pem_text_takes_no_time(repeated: bytes) -> None:
    """CVE-2026-102270: the pattern that looks for PEM in a secret took ages for some texts."""
    secret = repeated * (100_000 // len(repeated))
    verifier = verifier_with("HS256", secret)
    # Whether such a secret is fit is not the question here.
    with ends(), suppress(TokenInvalid):
        verifier.verify(by_hmac(secret, header_of(signing_key("HS256"))), START_MS)


@pytest.mark.parametrize(
    "text", ["A" * 16_000, "." * 16_000, "A." * 8000, "-" * 15_999 + "!", "A" * 15_996 + ".A.A\n", "=" * 16_000]
)
def test_cve_2026_102270_a_token_of_any_form_takes_no_time(text: str) -> None:
    """CVE-2026-102270, where an attacker has more of a say: the pattern that tokens are matched with."""
    with ends():
        for _ in range(20):
            assert_refused(text)


@pytest.mark.parametrize("algorithm", PAIRS)
def test_cve_2026_102271_a_public_key_in_der_is_no_hmac_secret(algorithm: str) -> None:
    """CVE-2026-102271: a public key was kept from being a secret in text forms alone, not in DER."""
    key = signing_key(algorithm)
    assert_no_hmac_secret(key, public_bytes(key, Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    if algorithm == "RS256":
        assert_no_hmac_secret(key, public_bytes(key, Encoding.DER, PublicFormat.PKCS1))


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_cve_2026_102272_a_jwk_behind_a_byte_order_mark_is_no_hmac_secret(coding: str) -> None:
    """CVE-2026-102272: a byte order mark hid that a secret was a public JWK; readers of JSON see past it."""
    for algorithm in PAIRS:
        key = signing_key(algorithm)
        assert_no_hmac_secret(key, json.dumps(public_jwk(key.material, algorithm)).encode(coding))


def test_cve_2026_102273_a_jwk_inside_a_document_is_no_hmac_secret() -> None:
    """CVE-2026-102273: a JWK Set, or a JWK deeper in a document, was still taken as a secret."""
    for algorithm in PAIRS:
        key = signing_key(algorithm)
        jwk = public_jwk(key.material, algorithm)
        for document in ({"keys": [jwk]}, [jwk], {"jwks": {"keys": [jwk]}}):
            assert_no_hmac_secret(key, json.dumps(document, separators=(",", ":")).encode())


def test_cve_2026_103001_no_token_changes_what_is_asked_of_the_next() -> None:
    """CVE-2026-103001: a call without verification left its options behind, and later calls checked no claims."""
    expired, early = claims_with(iat=NOW - 900, exp=NOW - 1), claims_with(iat=NOW + 3600, exp=NOW + 7200)
    wrong: list[dict[str, Any]] = [early, claims_with(aud="x"), claims_with(iss="x"), claims_with(sub=None)]
    for _ in range(3):
        for token in (GOOD, "x", GOOD[:-4], by_hmac(b"", header_of(KEY))):
            with suppress(TokenInvalid):
                VERIFIER.verify(token, START_MS)
            assert_taken(GOOD)
            with pytest.raises(TokenExpired):
                VERIFIER.verify(forge(KEY, header_of(KEY), expired), START_MS)
            for claims in wrong:
                assert_refused(forge(KEY, header_of(KEY), claims))
