"""What python-jose was once vulnerable to, tried on our checks."""

from __future__ import annotations

import hashlib
import hmac
import sys
from types import FrameType
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.clock import START_MS
from tests.forging import ALGORITHMS, base64url, claims_with, forge, header_of, signing_key, verifier_of
from tests.security.hostile import (
    PAIRS,
    assert_no_hmac_secret,
    assert_not_decompressed,
    assert_refused,
    assert_taken,
    by_hmac,
    encrypted,
    public_bytes,
    unsigned,
    verifier_with,
)
from watchword_client.token_checks import MAXIMUM_LENGTH, TokenChecks


def comparisons(verifier: TokenChecks, token: str) -> list[str]:
    """The functions written in C that compare while a token is verified, by name."""
    called = []

    def note(_: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and "compare" in getattr(function, "__name__", ""):
            called.append(function.__name__)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        verifier.verify(token, START_MS)
    finally:
        sys.setprofile(before)
    return called


def test_cve_2016_7036_a_mac_is_compared_in_constant_time() -> None:
    """CVE-2016-7036: the MAC was compared with `==`, which tells by its time how much of a guess is right."""
    key = signing_key("HS256")
    body = unsigned(header_of(key))
    mac = hmac.digest(key.material, body.encode(), hashlib.sha256)
    assert comparisons(verifier_of(key), f"{body}.{base64url(mac)}") == ["compare_digest"]
    # And a guess that is right but for its end is as wrong as any.
    for place in range(len(mac)):
        guess = mac[:place] + bytes([mac[place] ^ 1]) + mac[place + 1 :]
        assert_refused(f"{body}.{base64url(guess)}", verifier_of(key))


@pytest.mark.parametrize("algorithm", PAIRS)
def test_cve_2024_33663_an_openssh_key_of_any_kind_is_no_hmac_secret(algorithm: str) -> None:
    """CVE-2024-33663: ECDSA keys as OpenSSH writes them, and other forms, were taken as the secret of HS256."""
    key = signing_key(algorithm)
    line = public_bytes(key, Encoding.OpenSSH, PublicFormat.OpenSSH)
    assert line.startswith(
        {"ES256": b"ecdsa-sha2-nistp256 ", "EdDSA": b"ssh-ed25519 ", "RS256": b"ssh-rsa "}[algorithm]
    )
    for public in (line, line + b"\n", line + b" somebody@somewhere", line + b" somebody@somewhere\n"):
        assert_no_hmac_secret(key, public)


def test_cve_2024_33664_a_jwe_bomb_is_not_set_off() -> None:
    """CVE-2024-33664: an encrypted token that is small until it is decompressed took memory without bounds."""
    assert_not_decompressed(2_000_000)


def test_cve_2024_29370_a_jwe_of_high_ratio_is_not_even_read() -> None:
    """CVE-2024-29370: the same in `jwe.decrypt`; a bomb of any size that is too long to be a token is not looked at."""
    key = signing_key("HS256")
    header = header_of(key, zip="DEF") | {"alg": "dir", "enc": "A256GCM"}
    token = encrypted(key, b"\0" * 20_000_000, header)
    assert len(token) > MAXIMUM_LENGTH
    assert_refused(token, verifier_of(key))
    assert_not_decompressed(2_200_000)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_cve_2025_61152_an_unsigned_token_gives_no_claims(algorithm: str) -> None:
    """CVE-2025-61152 (disputed: verification had been turned off): a token with `none` was decoded all the same.

    Here nothing turns verification off, and there is no other way to claims.
    """
    key = signing_key(algorithm)
    assert_taken(forge(key, header_of(key), claims_with()), verifier_of(key))
    for none in ("none", "None", "NONE"):
        for header in (header_of(key, alg=none), header_of(key, alg=none, kid=None), header_of(key, alg=none, kid="")):
            body = unsigned(header, claims_with(role="admin"))
            for token in (f"{body}.", body, f"{body}.AA", f"{body}.{base64url(b'none')}"):
                assert_refused(token, verifier_of(key))


@pytest.mark.parametrize("algorithm", PAIRS)
def test_cve_2026_85394_a_public_key_in_der_is_no_hmac_secret(algorithm: str) -> None:
    """CVE-2026-85394: the forms that were kept from being a secret since CVE-2024-33663 were texts; DER was not."""
    key = signing_key(algorithm)
    assert_no_hmac_secret(key, public_bytes(key, Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    if algorithm == "RS256":
        assert_no_hmac_secret(key, public_bytes(key, Encoding.DER, PublicFormat.PKCS1))


def test_cve_2026_120459_a_secret_of_no_length_signs_nothing() -> None:
    """CVE-2026-120459: where the secret came out empty, anybody could sign with it."""
    key = signing_key("HS256")
    assert_taken(by_hmac(key.material, header_of(key)), verifier_with("HS256", key.material))
    for empty in (b"", ""):
        for verifier in (verifier_of(key), verifier_with("HS256", empty)):
            assert_refused(by_hmac(b"", header_of(key)), verifier)
            # HMAC fills a key with zeros: these are the same to it.
            assert_refused(by_hmac(b"\0", header_of(key)), verifier)
            assert_refused(by_hmac(bytes(64), header_of(key)), verifier)
