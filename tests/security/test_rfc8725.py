"""JSON Web Token Best Current Practices: the points of RFC 8725 section 3, in its order.

Where a point has a file of its own: algorithms and keys (3.1 to 3.4) in test_rfc7518.py, UTF-8 and JSON (3.7) in
test_rfc8259.py, what a header may ask for (3.10) in test_rfc7515.py.
"""

from __future__ import annotations

import json
import random
import string
import zlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.core.opaque_tokens import OpaqueTokens
from server.keys.key_material import public_jwk
from server.sessions.refresh_token import RefreshTokens
from server.users.reset_token import ResetToken, ResetTokens
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
from tests.security.hostile import (
    GOOD,
    HEADER,
    KEY,
    PAIRS,
    PAYLOAD,
    VERIFIER,
    assert_no_hmac_secret,
    assert_refused,
    assert_taken,
    by_hmac,
    public_bytes,
    signed,
    unsigned,
    verifier_with,
)
from watchword_client.errors import TokenExpired, TokenInvalid
from watchword_client.token_checks import TokenChecks

ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"


def test_the_good_token_of_these_tests_is_good() -> None:
    """What the others change is refused for the change alone."""
    assert VERIFIER.verify(GOOD, START_MS) == CLAIMS
    assert VERIFIER.verify(signed(base64url(HEADER.encode()), base64url(PAYLOAD.encode())), START_MS) == CLAIMS


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("none", ["none", "None", "NONE", "nOnE", "none ", "", "null", None, False, 0, [], ["none"]])
def test_no_signature_is_no_algorithm(algorithm: str, none: Any) -> None:
    """RFC 8725 section 3.2: `none`, however it is written."""
    key = signing_key(algorithm)
    body = unsigned(header_of(key) | {"alg": none})
    good = forge(key, header_of(key), claims_with())
    assert_taken(good, verifier_of(key))
    for end in ("", "AA", good.rpartition(".")[2]):
        assert_refused(f"{body}.{end}", verifier_of(key))
    assert_refused(body, verifier_of(key))


@pytest.mark.parametrize("algorithm", PAIRS)
def test_a_public_key_is_never_a_secret(algorithm: str) -> None:
    """RFC 8725 section 3.1: HS256 under the bytes of a public key, in every form in which it may be published."""
    key = signing_key(algorithm)
    jwk = public_jwk(key.material, algorithm)
    for form in (
        public_bytes(key, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public_bytes(key, Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public_bytes(key, Encoding.OpenSSH, PublicFormat.OpenSSH),
        json.dumps(jwk).encode(),
        json.dumps({"keys": [jwk]}, separators=(",", ":")).encode(),
        b"",
    ):
        assert_no_hmac_secret(key, form)
    for name in ("x", "y", "n", "e", "kid"):
        assert_refused(by_hmac(jwk.get(name, "").encode(), header_of(key, alg="HS256")), verifier_of(key))


def test_a_token_inside_a_token_is_refused() -> None:
    """RFC 8725 section 3.3: in a nested JWT both signatures would have to be right; nothing here is nested."""
    forged = forge(signing_key("ES256", 2), header_of(KEY), claims_with(role="admin"))
    for inner in (GOOD, forged, json.dumps(GOOD)):
        for more in ({}, {"cty": "JWT"}, {"cty": "at+jwt"}):
            assert_refused(forge(KEY, header_of(KEY) | more, inner.encode()))
        assert_refused(forge(KEY, header_of(KEY), {"jwt": inner}))
    assert_taken(forge(KEY, header_of(KEY), claims_with(jwt=forged)))


@pytest.mark.parametrize("made", [b"\0" * 64, b"\0" * 63 + b"\1", b"\xff" * 64, b"\0", b"\x30\x06\x02\x01\0\x02\x01\0"])
def test_a_signature_of_nothing_is_refused(made: bytes) -> None:
    """RFC 8725 section 3.4: r and s of zero, out of range, or of another length."""
    for algorithm in ALGORITHMS:
        key = signing_key(algorithm)
        body = forge(key, header_of(key), claims_with()).rpartition(".")[0]
        assert_refused(f"{body}.{base64url(made)}", verifier_of(key))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_part_of_a_signature_or_more_than_it_is_refused(algorithm: str) -> None:
    """RFC 8725 section 3.3: a signature is checked whole."""
    key = signing_key(algorithm)
    body = unsigned(header_of(key))
    whole = signature(algorithm, key.material, body)
    assert_taken(f"{body}.{base64url(whole)}", verifier_of(key))
    for wrong in (whole[:-1], whole[1:], whole[: len(whole) // 2], whole + b"\0", b"\0" + whole, whole + whole):
        assert_refused(f"{body}.{base64url(wrong)}", verifier_of(key))


@pytest.mark.parametrize(
    "secret", [b"", b"x", b"secret", b"changeme", b"password", b"your-256-bit-secret", b"0" * 31, b"\0"]
)
def test_a_guess_is_no_key(secret: bytes) -> None:
    """RFC 8725 section 3.5: a MAC under what everybody tries first, even where somebody has made it the secret."""
    key = signing_key("HS256")
    assert_taken(by_hmac(key.material, header_of(key)), verifier_of(key))
    assert_refused(by_hmac(secret, header_of(key)), verifier_of(key))
    assert_taken(by_hmac(key.material, header_of(key)), verifier_with("HS256", key.material))
    assert_refused(by_hmac(secret, header_of(key)), verifier_with("HS256", secret))


@pytest.mark.parametrize("name", ["DEF", "def", "GZ"])
def test_nothing_is_decompressed(name: str) -> None:
    """RFC 8725 section 3.6: no compression."""
    assert_refused(forge(KEY, header_of(KEY, zip=name), zlib.compress(PAYLOAD.encode())))
    assert_refused(forge(KEY, header_of(KEY, zip=name), claims_with()))


def test_the_keys_of_an_issuer_sign_for_no_other() -> None:
    """RFC 8725 section 3.8: two issuers, each with a key of its own, of the same name too."""
    ours, theirs = signing_key("ES256"), signing_key("ES256", 2)
    here = TokenChecks(Keys(ours), issuer=ISSUER, audience=AUDIENCE)
    there = TokenChecks(Keys(theirs), issuer="https://other.example", audience=AUDIENCE)
    assert_taken(forge(ours, header_of(ours), claims_with()), here)
    assert_taken(forge(theirs, header_of(theirs), claims_with(iss="https://other.example")), there)
    for key, verifier, names in ((theirs, here, ours), (ours, there, theirs)):
        for issuer in (ISSUER, "https://other.example"):
            assert_refused(forge(key, header_of(key), claims_with(iss=issuer)), verifier)
            assert_refused(forge(key, header_of(names), claims_with(iss=issuer)), verifier)
    assert_refused(forge(ours, header_of(ours), claims_with(iss="https://other.example")), here)


OTHER_TEXTS = ["", " ", "https://other.example", "*", ".*", "%", "null", "undefined"]


@pytest.mark.parametrize("other", [*OTHER_TEXTS, None, 0, True, [], {}])
@pytest.mark.parametrize("name", ["iss", "aud"])
def test_issuer_and_audience_are_the_configured_ones_to_the_letter(name: str, other: Any) -> None:
    """RFC 8725 sections 3.8 and 3.9: no other, no part, no more, no list, no pattern, and not absent."""
    mine = claims_with()[name]
    assert_taken(forge(KEY, header_of(KEY), claims_with()))
    near = [
        mine + "/",
        mine[:-1],
        mine.upper(),
        mine + "\0",
        " " + mine,
        mine.replace("https", "http"),
        [mine],
        {mine: 1},
    ]
    for value in (other, [mine, other], *near):
        assert_refused(forge(KEY, header_of(KEY), claims_with() | {name: value}))
    assert_refused(forge(KEY, header_of(KEY), claims_with(**{name: None})))


@pytest.mark.parametrize(
    "kind", ["JWT", "jwt", "dpop+jwt", "logout+jwt", "secevent+jwt", "rt+jwt", "application/jwt", ""]
)
def test_another_kind_of_jwt_is_no_access_token(kind: str) -> None:
    """RFC 8725 section 3.11: explicit typing."""
    assert_refused(forge(KEY, header_of(KEY, typ=kind), claims_with()))
    assert_refused(forge(KEY, header_of(KEY, typ=None), claims_with()))


def test_our_other_tokens_are_no_access_tokens() -> None:
    """RFC 8725 section 3.12: each kind has rules that keep it from being another."""
    master = bytes(32)
    refresh = RefreshTokens(master).issue(CLAIMS.session_id, 1)
    reset = ResetTokens(master).issue(ResetToken(CLAIMS.subject, START_MS + 1000, START_MS))
    opaque = OpaqueTokens(master, "").issue(GOOD.encode())
    for token in (refresh, reset, opaque, f"{refresh}.{refresh}.{refresh}", f"{GOOD}.{refresh}", f"Bearer {GOOD}"):
        assert_refused(token)
    for access in (GOOD, refresh[:4] + GOOD, reset[:4] + GOOD):
        assert RefreshTokens(master).read(access) is None
        assert ResetTokens(master).read(access) is None
    assert RefreshTokens(master).read(refresh) is not None
    assert ResetTokens(master).read(reset) is not None


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_mutation_of_one_byte_is_taken(algorithm: str) -> None:
    """RFC 8725 section 3.3: of thousands of changed tokens each is refused, by no other exception."""
    key = signing_key(algorithm)
    good, verifier = forge(key, header_of(key), claims_with()), verifier_of(key)
    seed = random.Random(8725)
    tried = 0
    while tried < 3000:
        mutated = mutation(good, seed)
        if mutated != good:
            tried += 1
            with pytest.raises((TokenInvalid, TokenExpired)):
                verifier.verify(mutated, START_MS)
    assert verifier.verify(good, START_MS) == CLAIMS


def mutation(token: str, seed: random.Random) -> str:
    """A byte of another value, one too many or one too few; mostly of the alphabet, so that it gets far."""
    place = seed.randrange(len(token) + 1)
    byte = seed.choice(ALPHABET) if seed.random() < 0.8 else chr(seed.randrange(256))
    return seed.choice(
        [
            token[:place] + byte + token[place + 1 :],
            token[:place] + byte + token[place:],
            token[:place] + token[place + 1 :],
        ]
    )
