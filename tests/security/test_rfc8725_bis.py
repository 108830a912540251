"""What the draft that will follow RFC 8725 adds to it: draft-ietf-oauth-rfc8725bis-10.

Watchword takes signed tokens alone, so of an encrypted one nothing is decrypted, derived or decompressed. Tokens in
JSON, the other half of section 2.13, are in test_rfc7515.py.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.forging import ALGORITHMS, base64url, claims_with, forge, header_of, signature, signing_key, verifier_of
from tests.security.endless import ends
from tests.security.hostile import (
    GOOD,
    KEY,
    PAYLOAD,
    VERIFIER,
    assert_not_decompressed,
    assert_refused,
    assert_taken,
    encrypted,
    unsigned,
)
from tests.security.watch import Watch
from watchword_client.token_checks import MAXIMUM_LENGTH

ENCRYPTIONS = [
    ("RS256", "RSA-OAEP", "A128CBC-HS256"),
    ("RS256", "RSA-OAEP-256", "A256GCM"),
    ("ES256", "ECDH-ES", "A128GCM"),
    ("ES256", "ECDH-ES+A128KW", "A256GCM"),
    ("HS256", "dir", "A256GCM"),
    ("HS256", "A256KW", "A256GCM"),
    ("HS256", "PBES2-HS256+A128KW", "A128GCM"),
]


@pytest.mark.parametrize(
    "none", ["none", "None", "NONE", "noNE", "nOne", "non\u0435", "\uff4eone", "none\0", " none", "no\u200bne"]
)
def test_no_spelling_of_none_gets_past(none: str) -> None:
    """Section 2.11, 3.1: an algorithm is on the list or it is not; nothing is blocked by its name."""
    for algorithm in ALGORITHMS:
        key = signing_key(algorithm)
        body = unsigned(header_of(key, alg=none))
        assert_taken(forge(key, header_of(key), claims_with()), verifier_of(key))
        for last in ("", "AA", base64url(signature(algorithm, key.material, body))):
            assert_refused(f"{body}.{last}", verifier_of(key))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_is_compared_by_case(algorithm: str) -> None:
    """Section 3.1, RFC 7515 section 4.1.1: `alg` is case-sensitive, so another spelling is another algorithm."""
    key = signing_key(algorithm)
    for named in (
        algorithm.lower(),
        algorithm.swapcase(),
        algorithm.title(),
        f" {algorithm}",
        f"{algorithm}\0",
        f"{algorithm}\n",
    ):
        if named != algorithm:
            assert_refused(forge(key, header_of(key, alg=named), claims_with()), verifier_of(key))
    if algorithm == "EdDSA":
        # RFC 9864 gives it a name of its own on this curve; a key has one algorithm, and so one name for it.
        assert_refused(forge(key, header_of(key, alg="Ed25519"), claims_with()), verifier_of(key))
    assert_taken(forge(key, header_of(key), claims_with()), verifier_of(key))


@pytest.mark.parametrize("compressed", [{}, {"zip": "DEF"}], ids=["plain", "zip"])
@pytest.mark.parametrize(("algorithm", "management", "content"), ENCRYPTIONS)
def test_an_encrypted_token_is_no_signed_one(
    algorithm: str, management: str, content: str, compressed: dict[str, str], watch: Watch
) -> None:
    """Sections 2.3 and 3.3: whoever has the public key can encrypt to it, so decryption would prove nothing.

    Good claims and a good token, encrypted to a key that is believed here: who decrypts them finds nothing wrong.
    """
    key = signing_key(algorithm)
    inner = forge(key, header_of(key), claims_with())
    assert_taken(inner, verifier_of(key))
    for plaintext, more in ((PAYLOAD.encode(), {}), (inner.encode(), {"cty": "at+jwt"})):
        header = {"alg": management, "enc": content, "typ": "at+jwt", "kid": key.kid, **compressed, **more}
        token = encrypted(key, plaintext, header)
        assert len(token) <= MAXIMUM_LENGTH
        with watch.on() as deeds:
            assert_refused(token, verifier_of(key))
            # Nor with its five segments cut to three.
            for cut in (token.split(".")[:3], token.split(".")[2:], token.split(".")[::2]):
                assert_refused(".".join(cut), verifier_of(key))
        assert deeds == []


@pytest.mark.parametrize("member", ["enc", "zip", "p2c", "p2s", "epk", "apu", "apv", "iv", "tag", "cty"])
def test_a_signed_token_has_no_member_of_an_encrypted_one(member: str) -> None:
    """Section 3.3: nothing that looks like both."""
    values: dict[str, Any] = {"enc": "A256GCM", "zip": "DEF", "p2c": 1, "epk": {"kty": "EC"}, "cty": "JWT"}
    assert_refused(forge(KEY, header_of(KEY) | {member: values.get(member, "AAAA")}, claims_with()))


@pytest.mark.parametrize("count", [1, 4096, 1_200_001, 2**31 - 1, 2**63, 10**30, -1, 1.5, "1000000000"])
def test_no_iterations_are_counted(count: Any) -> None:
    """Sections 2.10 and 3.13: `p2c` asks the reader to hash so many times; here it is asked in vain."""
    header = {"alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "p2s": "AAAAAAAAAAA", "p2c": count}
    with ends():
        for key in (KEY, signing_key("HS256")):
            named = json.dumps(header | {"typ": "at+jwt", "kid": key.kid}).encode()
            assert_refused(f"{base64url(named)}.AAAA.AAAA.AAAA.AAAA", verifier_of(key))
            assert_refused(forge(key, named, claims_with()), verifier_of(key))
            assert_refused(forge(key, header_of(key, p2c=count, p2s="AAAA"), claims_with()), verifier_of(key))


@pytest.mark.parametrize("size", [300_000, 2_000_000])
def test_a_bomb_is_not_set_off(size: int) -> None:
    """Sections 2.12 and 3.15: a few thousand characters that would become megabytes, encrypted or signed."""
    assert_not_decompressed(size)


def test_a_token_is_ascii_letters_digits_dash_underscore_and_two_periods() -> None:
    """Sections 2.13 and 3.14: whatever else is in it, above all braces and quotation marks, makes it no token."""
    for code in [*range(256), 0x2028, 0x3000, 0xFEFF, 0xFF0E, 0xD800, 0x1F4A5]:
        character = chr(code)
        if character.isascii() and (character.isalnum() or character in "-_"):
            continue
        for place in (0, 5, len(GOOD) // 2, len(GOOD)):
            assert_refused(GOOD[:place] + character + GOOD[place:])
            if place < len(GOOD):
                assert_refused(GOOD[:place] + character + GOOD[place + 1 :])
    assert_taken(GOOD, VERIFIER)


def test_a_token_of_more_than_4096_characters_is_not_looked_at() -> None:
    """Section 3.10, claims are an attacker's to choose: a bound on what is parsed; the longest below it is taken."""
    tokens = (forge(KEY, header_of(KEY), claims_with(username="x" * size)) for size in range(2200, 4000))
    short, long = "", ""
    while len(long) <= MAXIMUM_LENGTH:
        short, long = long, next(tokens)
    assert MAXIMUM_LENGTH - 4 < len(short) <= MAXIMUM_LENGTH == 4096
    assert_taken(short)
    assert_refused(long)
    for huge in ("A" * 10_000_000, "." * 100_000, f"{GOOD}{'A' * 1_000_000}", f"{'A' * 100_000}.{GOOD}"):
        assert_refused(huge)
