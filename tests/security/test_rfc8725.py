"""JSON Web Token Best Current Practices: the points of RFC 8725 section 3 that a verifier answers for."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import random
import string
import zlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.errors import TokenExpired, TokenInvalid
from server.sessions.refresh_token import RefreshTokens
from server.tokens.keys import public_jwk
from server.tokens.opaque import OpaqueTokens
from server.tokens.verifier import MAXIMUM_LENGTH, Verifier
from server.users.reset_token import ResetToken, ResetTokens
from tests.clock import START_MS
from tests.unit.tokens import (
    ALGORITHMS,
    CLAIMS,
    base64url,
    claims_with,
    forge,
    header_of,
    signature,
    signing_key,
    verifier_of,
)

KEY = signing_key("ES256")
VERIFIER = verifier_of(KEY)
GOOD = forge(KEY, header_of(KEY), claims_with())
HEADER = json.dumps(header_of(KEY))
PAYLOAD = json.dumps(claims_with())
ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"


def assert_refused(token: str, verifier: Verifier = VERIFIER) -> None:
    with pytest.raises(TokenInvalid):
        verifier.verify(token, START_MS)


def signed(header: str, payload: str) -> str:
    """A right signature over two segments, however they are spelt."""
    return f"{header}.{payload}.{base64url(signature('ES256', KEY.material, f'{header}.{payload}'))}"


def test_the_good_token_of_these_tests_is_good() -> None:
    """What the others change is refused for the change alone."""
    assert VERIFIER.verify(GOOD, START_MS) == CLAIMS
    assert VERIFIER.verify(signed(base64url(HEADER.encode()), base64url(PAYLOAD.encode())), START_MS) == CLAIMS


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("none", ["none", "None", "NONE", "nOnE", "none ", "", "null", None, False, 0, [], ["none"]])
def test_no_signature_is_no_algorithm(algorithm: str, none: Any) -> None:
    """RFC 8725 section 3.2: `none`, however it is written."""
    key = signing_key(algorithm)
    header = base64url(json.dumps(header_of(key) | {"alg": none}).encode())
    body = f"{header}.{base64url(PAYLOAD.encode())}"
    _, _, good = forge(key, header_of(key), claims_with()).split(".")
    for end in ("", "AA", good):
        assert_refused(f"{body}.{end}", verifier_of(key))
    assert_refused(body, verifier_of(key))


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_a_public_key_is_never_a_secret(algorithm: str) -> None:
    """RFC 8725 section 3.1: HS256 under the bytes of a public key, in every form in which it may be published."""
    key = signing_key(algorithm)
    public = key.material.public_key()
    jwk = public_jwk(key.material, algorithm)
    forms = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        json.dumps(jwk).encode(),
        json.dumps({"keys": [jwk]}, separators=(",", ":")).encode(),
        next(jwk[name] for name in ("x", "n") if name in jwk).encode(),
        b"",
    ]
    body = f"{base64url(json.dumps(header_of(key, alg='HS256')).encode())}.{base64url(PAYLOAD.encode())}"
    for form in forms:
        mac = hmac.digest(form, body.encode(), hashlib.sha256)
        assert_refused(f"{body}.{base64url(mac)}", verifier_of(key))


@pytest.mark.parametrize("made", [b"\0" * 64, b"\0" * 63 + b"\1", b"\xff" * 64, b"\0", b"\x30\x06\x02\x01\0\x02\x01\0"])
def test_a_signature_of_nothing_is_refused(made: bytes) -> None:
    """RFC 8725 section 3.4: r and s of zero, out of range, or of another length."""
    body = GOOD.rpartition(".")[0]
    for algorithm in ALGORITHMS:
        key = signing_key(algorithm)
        body = forge(key, header_of(key), claims_with()).rpartition(".")[0]
        assert_refused(f"{body}.{base64url(made)}", verifier_of(key))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_part_of_a_signature_or_more_than_it_is_refused(algorithm: str) -> None:
    """RFC 8725 section 3.3: a signature is checked whole."""
    key = signing_key(algorithm)
    body = f"{base64url(json.dumps(header_of(key)).encode())}.{base64url(PAYLOAD.encode())}"
    whole = signature(algorithm, key.material, body)
    assert verifier_of(key).verify(f"{body}.{base64url(whole)}", START_MS) == CLAIMS
    for wrong in (whole[:-1], whole[1:], whole[: len(whole) // 2], whole + b"\0", b"\0" + whole, whole + whole):
        assert_refused(f"{body}.{base64url(wrong)}", verifier_of(key))


@pytest.mark.parametrize("name", ["DEF", "def", "GZ"])
def test_nothing_is_decompressed(name: str) -> None:
    """RFC 8725 section 3.6: no compression."""
    assert_refused(forge(KEY, header_of(KEY, zip=name), zlib.compress(PAYLOAD.encode())))
    assert_refused(forge(KEY, header_of(KEY, zip=name), claims_with()))


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_header_and_claims_are_in_utf_8(coding: str) -> None:
    """RFC 8725 section 3.7: no other encoding of Unicode, and no byte order mark."""
    assert_refused(forge(KEY, HEADER.encode(coding), PAYLOAD.encode()))
    assert_refused(forge(KEY, HEADER.encode(), PAYLOAD.encode(coding)))


@pytest.mark.parametrize(
    "wrong", [b"\xff", b"\xc3\x28", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"]
)
def test_bytes_that_are_not_utf_8_are_refused(wrong: bytes) -> None:
    """RFC 8725 section 3.7: nothing is skipped or replaced."""
    assert_refused(forge(KEY, HEADER.encode(), PAYLOAD.encode().replace(b"lak", b"lak" + wrong)))
    assert_refused(forge(KEY, HEADER.encode().replace(b"at+jwt", b"at+jwt" + wrong), PAYLOAD.encode()))


@pytest.mark.parametrize(
    "member",
    [
        {"jku": "https://attacker.example/jwks.json"},
        {"x5u": "https://attacker.example/cert.pem"},
        {"jwk": public_jwk(signing_key("ES256", 2).material, "ES256")},
        {"x5c": ["MIIB"]},
        {"x5t": "AAAA"},
        {"x5t#S256": "AAAA"},
        {"crit": ["exp"]},
        {"crit": []},
        {"b64": True},
        {"b64": False},
        {"cty": "JWT"},
        {"enc": "A256GCM"},
    ],
    ids=lambda member: next(iter(member)),
)
def test_a_header_says_nothing_about_where_keys_are_or_how_to_read_on(member: dict[str, Any]) -> None:
    """RFC 8725 section 3.10: no key, address or instruction of a token is followed, whoever signed it."""
    attacker = signing_key("ES256", 2)
    assert_refused(forge(KEY, header_of(KEY) | member, claims_with()))
    assert_refused(forge(attacker, header_of(KEY) | member, claims_with()))
    assert_refused(forge(attacker, header_of(attacker) | member, claims_with()))


@pytest.mark.parametrize("kid", ["", "../../dev/null", "' OR 1=1 --", "\0", "x" * 2000, "é", "*", "%s", "$(id)"])
def test_a_name_of_a_key_is_a_name_and_nothing_else(kid: str) -> None:
    """RFC 8725 section 3.10: `kid` is compared, not used."""
    assert_refused(forge(KEY, header_of(KEY, kid=kid), claims_with()))
    assert_refused(forge(KEY, header_of(KEY, kid=KEY.kid + kid + " "), claims_with()))


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


@pytest.mark.parametrize("name", ["alg", "kid", "typ"])
def test_a_header_member_comes_once(name: str) -> None:
    """RFC 8725bis, RFC 7515 section 4: repeated members, which parsers take differently."""
    value = json.dumps(header_of(KEY)[name])
    spelt = f"\\u{ord(name[0]):04x}{name[1:]}"
    for more in (f'"{name}":{value}', f'"{name}":"x"', f'"{spelt}":{value}'):
        assert_refused(forge(KEY, f"{HEADER[:-1]},{more}}}".encode(), claims_with()))
        assert_refused(forge(KEY, f"{{{more},{HEADER[1:]}".encode(), claims_with()))


@pytest.mark.parametrize("name", [*CLAIMS.to_jwt(), "other"])
def test_a_claim_comes_once(name: str) -> None:
    """RFC 8725bis, RFC 7519 section 4: repeated claims, the same or another, also inside a claim of others."""
    value = json.dumps(claims_with(other="x")[name])
    payload = json.dumps(claims_with(other="x"))
    assert VERIFIER.verify(forge(KEY, HEADER.encode(), payload.encode()), START_MS) == CLAIMS
    spelt = f"\\u{ord(name[0]):04x}{name[1:]}"
    for more in (f'"{name}":{value}', f'"{name}":"admin"', f'"{spelt}":{value}', '"x":{"y":1,"y":1}'):
        assert_refused(forge(KEY, HEADER.encode(), f"{payload[:-1]},{more}}}".encode()))
        assert_refused(forge(KEY, HEADER.encode(), f"{{{more},{payload[1:]}".encode()))


def test_a_token_of_more_than_4096_characters_is_not_looked_at() -> None:
    """RFC 8725bis: a bound on what is parsed; the longest token below it is still taken."""
    tokens = (forge(KEY, header_of(KEY), claims_with(username="x" * size)) for size in itertools.count(2200))
    short, long = next(pair for pair in itertools.pairwise(tokens) if len(pair[1]) > MAXIMUM_LENGTH)
    assert MAXIMUM_LENGTH - 4 < len(short) <= MAXIMUM_LENGTH == 4096
    assert VERIFIER.verify(short, START_MS).session_id == CLAIMS.session_id
    assert_refused(long)
    for huge in ("A" * 10_000_000, "." * 100_000, f"{GOOD}{'A' * 1_000_000}", f"{'A' * 100_000}.{GOOD}"):
        assert_refused(huge)


def spare_bits(text: str) -> list[str]:
    """Other last characters that decode to the same bytes."""
    spare = {0: 1, 2: 16, 3: 4}[len(text) % 4]
    first = ALPHABET.index(text[-1]) // spare * spare
    return [text[:-1] + last for last in ALPHABET[first : first + spare] if last != text[-1]]


def test_spare_bits_make_no_second_spelling_of_a_signature() -> None:
    """RFC 7515 section 2, RFC 4648 section 3.5: bits that carry nothing are zero."""
    for algorithm in ALGORITHMS:
        key = signing_key(algorithm)
        body, _, last = forge(key, header_of(key), claims_with()).rpartition(".")
        assert len(spare_bits(last)) in {3, 15}
        for other in spare_bits(last):
            assert_refused(f"{body}.{other}", verifier_of(key))


@pytest.mark.parametrize("size", [3, 4, 5])
def test_spare_bits_make_no_second_spelling_of_header_or_claims(size: int) -> None:
    """RFC 4648 section 3.5: not even when that spelling was signed."""
    header = base64url((HEADER + " " * (size - len(HEADER) % 3)).encode())
    payload = base64url((PAYLOAD + " " * (size - len(PAYLOAD) % 3)).encode())
    assert VERIFIER.verify(signed(header, payload), START_MS) == CLAIMS
    assert len(spare_bits(header)) == len(spare_bits(payload)) == {3: 0, 4: 15, 5: 3}[size]
    for other in spare_bits(header):
        assert_refused(signed(other, payload))
    for other in spare_bits(payload):
        assert_refused(signed(header, other))


@pytest.mark.parametrize("more", ["=", "==", "===", " ", "\n", "\r\n", "\t", "\0", "\u00a0", "\u200b", "\ufeff", "%20"])
def test_padding_and_whitespace_make_no_second_spelling(more: str) -> None:
    """RFC 7515 section 2: no padding, no line breaks, nothing around the token; not even when it was signed."""
    segments = GOOD.split(".")
    for place in range(3):
        for spelt in (segments[place] + more, more + segments[place], segments[place][:8] + more + segments[place][8:]):
            assert_refused(".".join([*segments[:place], spelt, *segments[place + 1 :]]))
    assert_refused(signed(segments[0] + more, segments[1]))
    assert_refused(signed(segments[0], segments[1] + more))
    assert_refused(signed(segments[0], more + segments[1]))


def test_the_other_alphabet_of_base64_is_refused() -> None:
    """RFC 7515 section 2: base64url alone."""
    payload = base64url((PAYLOAD[:-1] + ',"x":"???>>>\u00ff\u00fe~~~"}').encode())
    assert "_" in payload
    assert VERIFIER.verify(signed(base64url(HEADER.encode()), payload), START_MS) == CLAIMS
    other = payload.replace("_", "/").replace("-", "+")
    assert_refused(signed(base64url(HEADER.encode()), other))


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
