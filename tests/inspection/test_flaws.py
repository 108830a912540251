from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from server.inspection.flaws import UNKNOWN_KEY, Inspection, in_words, inspect, times
from tests.clock import START_MS
from tests.forging import (
    ALGORITHMS,
    AUDIENCE,
    CLAIMS,
    ISSUER,
    NOW,
    base64url,
    claims_with,
    forge,
    header_of,
    signature,
    signing_key,
    verifier_of,
)
from watchword_client.errors import TokenExpired, TokenInvalid

KEY = signing_key("ES256")
VERIFIER = verifier_of(KEY)
GOOD = forge(KEY, header_of(KEY), claims_with())
FORGED = "the signature was not made by that key over this header and payload"
DEEP = b'{"x":' + b"[" * 400 + b"]" * 400 + b"}"


def looked_into(token: str, now_ms: int = START_MS) -> Inspection:
    """What was found, which can always be written as JSON, and read by readers that are strict about it."""
    found = inspect(token, VERIFIER, now_ms)
    json.dumps([found.header, found.claims, found.flaws], allow_nan=False).encode("ascii")
    assert len(found.flaws) == len(set(found.flaws)), found.flaws
    return found


def flaws_of(**changes: Any) -> list[str]:
    """What is said about a token whose signature is right."""
    return looked_into(forge(KEY, header_of(KEY), claims_with(**changes))).flaws


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_good_token_has_no_flaws_and_names_its_key(algorithm: str) -> None:
    key = signing_key(algorithm)
    found = inspect(forge(key, header_of(key), claims_with()), verifier_of(key), START_MS)
    assert (found.flaws, found.expired, found.signature) == ([], False, True)
    assert (found.kid, found.algorithm, found.genuine) == (key.kid, algorithm, CLAIMS)
    assert (found.header, found.claims) == (header_of(key), claims_with())


def test_a_token_that_has_expired_has_no_flaws() -> None:
    assert looked_into(GOOD, CLAIMS.expires_at * 1000 - 1).genuine == CLAIMS
    found = looked_into(GOOD, CLAIMS.expires_at * 1000)
    assert (found.flaws, found.expired, found.signature, found.genuine) == ([], True, True, None)


def test_a_forged_token_is_shown_with_the_key_that_did_not_sign_it() -> None:
    header, _, signed = GOOD.split(".")
    found = looked_into(f"{header}.{base64url(json.dumps(claims_with(role='admin')).encode())}.{signed}")
    assert (found.flaws, found.signature, found.kid, found.algorithm) == ([FORGED], False, KEY.kid, "ES256")
    assert found.claims == claims_with(role="admin")
    assert found.genuine is None


def test_the_signature_comes_first_and_everything_else_that_is_wrong_behind_it() -> None:
    other = replace(signing_key("ES256", 2), kid=KEY.kid)
    found = looked_into(
        forge(other, header_of(KEY, typ="JWT", jku="https://x.example"), claims_with(iss="x", sid=None))
    )
    assert found.flaws == [
        FORGED,
        "the header has 'jku', which is not taken here",
        "`typ` is not at+jwt: this is another kind of token (RFC 9068 section 2.1)",
        "`sid` is not there, or not a text",
        f"`iss` is not `{ISSUER}`, the issuer here",
    ]


def test_each_claim_that_is_wrong_is_named() -> None:
    assert flaws_of(username=7) == ["`username` is not there, or not a text"]
    assert flaws_of(aud=[AUDIENCE]) == [f"`aud` is not `{AUDIENCE}`, the audience here"]
    assert flaws_of(exp=NOW + 900.5) == ["`exp` is not there, or not a whole number of seconds"]
    assert flaws_of(iat=NOW + 61) == ["`iat` is in the future"]
    assert flaws_of(nbf=NOW + 61) == ["`nbf` is in the future"]
    assert flaws_of(nbf="0") == ["`nbf` is not a whole number of seconds"]
    assert flaws_of(nbf=NOW + 900) == ["`exp` is not later than `nbf`", "`nbf` is in the future"]
    assert flaws_of(exp=NOW - 5, iat=NOW - 5) == ["`exp` is not later than `iat`"]


def test_a_key_that_is_not_known_leaves_the_signature_open() -> None:
    other = signing_key("ES256", 2)
    found = looked_into(forge(other, header_of(other), claims_with()))
    assert (found.flaws, found.signature, found.kid, found.algorithm) == ([UNKNOWN_KEY], None, other.kid, None)


@pytest.mark.parametrize("change", [{"alg": "none"}, {"alg": "HS256"}, {"alg": None}, {"alg": 5}, {"kid": None}])
def test_a_header_that_fits_no_key_leaves_the_signature_open(change: dict[str, Any]) -> None:
    found = looked_into(forge(KEY, header_of(KEY, **change), claims_with()))
    assert (found.signature, len(found.flaws)) == (None, 1)
    assert found.claims == claims_with()


@pytest.mark.parametrize("payload", [b"[]", b"{", b"", b"\xff", b'{"a":1,"a":2}', b'{"exp":NaN}', b"7" * 400])
def test_a_right_signature_is_right_whatever_it_is_over(payload: bytes) -> None:
    found = looked_into(forge(KEY, header_of(KEY), payload))
    assert (found.signature, found.claims, len(found.flaws)) == (True, None, 1)


@pytest.mark.parametrize(
    ("token", "flaw"),
    [
        ("", "it is not three parts with dots between them (RFC 7515 section 7.1)"),
        ("garbage", "it is not three parts with dots between them (RFC 7515 section 7.1)"),
        ("a.b.c.d", "it is not three parts with dots between them (RFC 7515 section 7.1)"),
        ("wwr_AZq", "it is a refresh token, which only ever goes to `POST /refresh` and `POST /logout`"),
        ("wwp_AZq", "it is a reset token, with which a user sets a password"),
        ("wwf_AZq", "it is the token of a mailed link, with which a user sets a password"),
        ("wws_AZq", "it is the token of a mailed link, with which a user signs in"),
        ("wwe_AZq", "it is the token of a mailed link, which confirms an address"),
        ("wwi_AZq", "it is an invitation token, with which somebody registers"),
        (
            '{"payload":"a.b","signatures":[{"header":{"x":"."}}]}',
            "it is JSON; of the two forms of a JWS only the compact one is taken here (RFC 7515 section 7.1)",
        ),
        ("x" * 20_000, "it is longer than 4096 characters"),
        (".".join("xyz" * 4000), "it is longer than 4096 characters"),
    ],
)
def test_what_is_no_access_token_is_called_by_its_name(token: str, flaw: str) -> None:
    assert looked_into(token) == Inspection(flaws=[flaw])


def test_of_an_encrypted_token_the_header_is_shown() -> None:
    header = {"alg": "dir", "enc": "A256GCM"}
    found = looked_into(f"{base64url(json.dumps(header).encode())}..aaaa.bbbb.cccc")
    assert found.flaws == ["it has five parts, so it is encrypted (JWE, RFC 7516); only signed tokens are taken here"]
    assert found.header == header
    assert looked_into("é.b.c.d.e").header is None


@pytest.mark.parametrize(
    ("changed", "flaw"),
    [
        ("{header}.{payload}.", "it has no signature"),
        ("{header}..{signature}", "the payload is empty"),
        (".{payload}.{signature}", "the header is empty"),
        ("{header}.{payload}.{signature}=", "the signature is not base64url in its one spelling"),
        ("{header}=.{payload}.{signature}", "the header is not base64url in its one spelling"),
        ("{header}.{payload} .{signature}", "the payload is not base64url in its one spelling"),
        ("{header}.{payload}.{signature}\n", "the signature is not base64url in its one spelling"),
    ],
)
def test_the_part_that_is_spelt_wrong_is_named(changed: str, flaw: str) -> None:
    header, payload, signed = GOOD.split(".")
    found = looked_into(changed.format(header=header, payload=payload, signature=signed))
    assert flaw in found.flaws
    assert found.genuine is None
    assert (found.header is None) == flaw.startswith("the header")


def test_a_token_that_is_too_long_is_still_taken_apart() -> None:
    found = looked_into(forge(KEY, header_of(KEY), claims_with(pad="x" * 9000)))
    assert (found.flaws, found.signature) == (["it is longer than 4096 characters"], True)
    assert found.claims == claims_with(pad="x" * 9000)


def test_what_json_cannot_say_again_is_told_in_words() -> None:
    payload = json.dumps(claims_with())[:-1].encode() + b',"big":1e999,"small":-1e999,"list":[[1e400]]}'
    found = looked_into(forge(KEY, header_of(KEY), payload))
    assert (found.flaws, found.genuine) == ([], CLAIMS)
    too_large = "(a number that is too large)"
    assert found.claims == claims_with() | {"big": too_large, "small": too_large, "list": [[too_large]]}
    assert "(nested too deeply)" in json.dumps(looked_into(forge(KEY, header_of(KEY), DEEP)).claims)


def hostile_parts() -> list[bytes]:
    nested = [b'{"x":' * depth + b"1" + b"}" * depth for depth in (31, 32, 33, 34, 100, 300, 900, 985, 2000)]
    written = [b"1e999", b"-1e999", b"NaN", b"-0", b"true", b"9" * 4000, b"9" * 5000, b"-" + b"9" * 4000, b"1.5"]
    numbers = [b'{"exp":%b,"iat":%b}' % (number, number) for number in written]
    texts = [
        b'{"iss":"\\ud800","%b":"\\udfff\\ud800"}' % name for name in (b"kid", b"alg", b"typ", b"\\udc00", b"role")
    ]
    return [
        *nested,
        *numbers,
        *texts,
        b"[" * 5000,
        b"[]",
        b"null",
        b"",
        b"\xed\xa0\x80",
        b'{"__proto__":{"a":1}}',
        DEEP,
    ]


@pytest.mark.parametrize("part", hostile_parts(), ids=lambda part: part[:20].decode("latin-1"))
def test_nothing_in_a_token_raises_or_is_accepted(part: bytes) -> None:
    for token in (
        forge(KEY, part, claims_with()),
        forge(KEY, header_of(KEY), part),
        forge(KEY, part, part),
        f"{GOOD}.{base64url(part)}.{base64url(part)}",
        part.decode("latin-1"),
        part.decode("utf-8", "surrogateescape"),
    ):
        found = looked_into(token)
        assert found.flaws
        assert found.genuine is None


def test_it_is_never_milder_or_sterner_than_the_verifier() -> None:
    """Over tokens of all kinds of damage: what has no flaws is what is taken, to the second."""
    chance = random.Random(8725)
    letters = "AQgw09-_.=\n {é"
    for _ in range(2000):
        token = list(chance.choice((GOOD, forge(KEY, header_of(KEY), claims_with(x=[1, {"y": 1e9}])))))
        for _ in range(chance.randrange(3)):
            place = chance.randrange(len(token))
            token[place : place + chance.randrange(2)] = chance.choice(letters)
        now_ms = START_MS + chance.choice((-120_000, 0, 899_999, 900_000))
        text = "".join(token)
        found = looked_into(text, now_ms)
        try:
            assert VERIFIER.verify(text, now_ms) == found.genuine
        except TokenExpired:
            assert (found.expired, found.flaws) == (True, [])
        except TokenInvalid:
            assert found.flaws


def test_a_signature_is_judged_over_the_bytes_as_they_came() -> None:
    """A second spelling of the same claims is another payload."""
    body = f"{base64url(json.dumps(header_of(KEY)).encode())}.{base64url(b' ' + json.dumps(claims_with()).encode())}"
    signed = base64url(signature("ES256", KEY.material, body))
    assert looked_into(f"{body}.{signed}").signature is True
    assert looked_into(f"{GOOD.rpartition('.')[0]}.{signed}").signature is False


def test_times_are_told_in_rfc_3339_and_in_words() -> None:
    claims = claims_with(nbf=NOW - 0.5, other=NOW)
    assert times(claims, START_MS) == {
        "iat": ("2026-09-21T14:13:20.000Z", "now"),
        "nbf": ("2026-09-21T14:13:19.500Z", "now"),
        "exp": ("2026-09-21T14:28:20.000Z", "in 15 minutes"),
        "auth_time": ("2026-09-21T14:12:20.000Z", "1 minute ago"),
    }


@pytest.mark.parametrize(
    "value", [None, True, "1790000000", [], {}, 10**12, -(10**12), 10**4000, float("inf"), float("nan"), 1e300]
)
def test_what_is_no_time_is_left_out(value: Any) -> None:
    assert times({"exp": value, "iat": value, "nbf": value}, START_MS) == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-62_135_596_800, "0001-01-01T00:00:00.000Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (253_402_300_799, "9999-12-31T23:59:59.000Z"),
    ],
)
def test_the_first_and_the_last_time_are_times(value: int, text: str) -> None:
    assert times({"exp": value}, START_MS)["exp"][0] == text
    assert times({"exp": float(value)}, START_MS)["exp"][0] == text
    beyond = value - 1 if value < 0 else value + 1
    assert (value == 0) == bool(times({"exp": beyond}, START_MS))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "now"),
        (0.4, "now"),
        (-0.4, "now"),
        (1, "in 1 second"),
        (-1, "1 second ago"),
        (59.6, "in 1 minute"),
        (299, "in 4 minutes 59 seconds"),
        (3600, "in 1 hour"),
        (3601, "in 1 hour"),
        (-5400, "1 hour 30 minutes ago"),
        (86_400 * 2 + 3600, "in 2 days 1 hour"),
        (86_400 * 2 + 59, "in 2 days"),
        (-86_400 * 366, "1 year ago"),
        (86_400 * 385, "in 1 year 19 days"),
        (31_556_952 * 7973, "in 7973 years"),
    ],
)
def test_a_distance_is_told_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
