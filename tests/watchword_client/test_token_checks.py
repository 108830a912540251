from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import jwt
import pytest

from server.keys.signer import Signer
from tests.clock import START_MS
from tests.forging import (
    ALGORITHMS,
    AUDIENCE,
    CLAIMS,
    ISSUER,
    NOW,
    Keys,
    claims_with,
    forge,
    header_of,
    signing_key,
    verifier_of,
)
from watchword_client.errors import TokenExpired, TokenInvalid
from watchword_client.keys import VerificationKey
from watchword_client.token_checks import TokenChecks, UnknownKey

KEY = signing_key("ES256")
VERIFIER = verifier_of(KEY)
TEXT_CLAIMS = ("iss", "sub", "aud", "jti", "sid", "role", "username")
TIME_CLAIMS = ("iat", "exp")


def token_with(**changes: Any) -> str:
    return forge(KEY, header_of(KEY), claims_with(**changes))


def token_under(**changes: Any) -> str:
    return forge(KEY, header_of(KEY, **changes), claims_with())


def refused(token: str, verifier: TokenChecks = VERIFIER, now_ms: int = START_MS) -> type[BaseException]:
    with pytest.raises((TokenInvalid, TokenExpired)) as caught:
        verifier.verify(token, now_ms)
    return caught.type


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_signed_is_verified(algorithm: str) -> None:
    key = signing_key(algorithm)
    token = Signer(Keys(key)).sign(CLAIMS)
    assert verifier_of(key).verify(token, START_MS) == CLAIMS
    assert jwt.get_unverified_header(token) == {"typ": "at+jwt", "alg": algorithm, "kid": key.kid}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_signature_by_another_key_of_that_name_is_refused(algorithm: str) -> None:
    key, other = signing_key(algorithm), signing_key(algorithm, 2)
    token = forge(replace(other, kid=key.kid), header_of(key), claims_with())
    assert refused(token, verifier_of(key)) is TokenInvalid


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_signature_over_other_claims_is_refused(algorithm: str) -> None:
    key = signing_key(algorithm)
    header, _, signed = forge(key, header_of(key), claims_with()).split(".")
    _, claims, _ = forge(key, header_of(key), claims_with(role="admin")).split(".")
    assert refused(f"{header}.{claims}.{signed}", verifier_of(key)) is TokenInvalid


def test_the_forge_of_these_tests_makes_good_tokens_when_nothing_is_changed() -> None:
    assert VERIFIER.verify(forge(KEY, header_of(KEY), claims_with()), START_MS) == CLAIMS


@pytest.mark.parametrize("name", TEXT_CLAIMS + TIME_CLAIMS)
def test_every_claim_has_to_be_there(name: str) -> None:
    assert refused(token_with(**{name: None})) is TokenInvalid


@pytest.mark.parametrize("name", TEXT_CLAIMS)
@pytest.mark.parametrize("value", ["", 7, 7.5, True, [], ["x"], {"x": "y"}])
def test_a_text_has_to_be_a_text(name: str, value: Any) -> None:
    assert refused(token_with(**{name: value})) is TokenInvalid


@pytest.mark.parametrize("name", TEXT_CLAIMS + TIME_CLAIMS)
def test_null_is_no_value(name: str) -> None:
    assert refused(forge(KEY, header_of(KEY), claims_with() | {name: None})) is TokenInvalid


@pytest.mark.parametrize("name", TIME_CLAIMS)
@pytest.mark.parametrize("value", [True, str(NOW + 60), NOW + 60.0, [NOW + 60], {}])
def test_a_time_has_to_be_a_whole_number(name: str, value: Any) -> None:
    # Even a value that would be right as a number: iat may be a minute ahead.
    assert refused(token_with(**{name: value})) is TokenInvalid


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"1e400", b"1790000900.0", b"1.790000900e9", b"-0"])
def test_a_time_in_another_notation_is_refused(value: bytes) -> None:
    claims = json.dumps(claims_with()).encode().replace(b": %d," % (NOW + 900), b": %b," % value)
    assert value in claims
    assert refused(forge(KEY, header_of(KEY), claims)) is TokenInvalid


def test_an_expiry_in_a_distant_age_is_taken_as_it_is() -> None:
    expires_at = 10**30
    assert VERIFIER.verify(token_with(exp=expires_at), START_MS).expires_at == expires_at


@pytest.mark.parametrize("issuer", [ISSUER + "/", ISSUER[:-1], ISSUER.upper(), "https://other.example", [ISSUER]])
def test_the_issuer_has_to_be_the_configured_one(issuer: Any) -> None:
    assert refused(token_with(iss=issuer)) is TokenInvalid


@pytest.mark.parametrize("audience", [AUDIENCE[:-1], "https://other.example", [AUDIENCE], [AUDIENCE, "other"]])
def test_the_audience_has_to_be_the_configured_one(audience: Any) -> None:
    assert refused(token_with(aud=audience)) is TokenInvalid


def test_a_token_expires_at_its_exp_and_not_a_millisecond_before() -> None:
    token = token_with(exp=NOW + 900)
    assert VERIFIER.verify(token, (NOW + 900) * 1000 - 1) == CLAIMS
    assert refused(token, now_ms=(NOW + 900) * 1000) is TokenExpired
    assert refused(token, now_ms=(NOW + 9000) * 1000) is TokenExpired


def test_only_a_token_that_is_right_otherwise_is_called_expired() -> None:
    late = (NOW + 9000) * 1000
    header, claims, _ = token_with().split(".")
    assert refused(f"{header}.{claims}.AAAA", now_ms=late) is TokenInvalid
    assert refused(token_with(iss="https://other.example"), now_ms=late) is TokenInvalid
    assert refused(token_with(aud="https://other.example"), now_ms=late) is TokenInvalid
    assert refused(token_with(role=None), now_ms=late) is TokenInvalid


def test_iat_may_be_a_minute_ahead_for_clocks_that_differ() -> None:
    assert VERIFIER.verify(token_with(iat=NOW + 60), START_MS).issued_at == NOW + 60
    assert refused(token_with(iat=NOW + 61)) is TokenInvalid
    assert VERIFIER.verify(token_with(iat=NOW + 61), START_MS + 1000).issued_at == NOW + 61


def test_a_token_is_refused_before_its_nbf_but_for_clocks_that_differ_by_a_minute() -> None:
    """RFC 7519 section 4.1.5."""
    for not_before in (0, -1, NOW, NOW + 60):
        assert VERIFIER.verify(token_with(nbf=not_before), START_MS).not_before == not_before
    token = token_with(nbf=NOW + 600)
    assert refused(token) is TokenInvalid
    assert refused(token, now_ms=START_MS + 539_999) is TokenInvalid
    assert VERIFIER.verify(token, START_MS + 540_000).not_before == NOW + 600
    assert refused(token_with(nbf=10**30)) is TokenInvalid
    assert refused(token_with(nbf=10**30, exp=10**40)) is TokenInvalid


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "1e400", "null", "true", "false", '"0"', "0.0", "[0]", "{}", "1e9"]
)
def test_an_nbf_that_is_no_whole_number_is_refused(value: str) -> None:
    # Even where it would be in the past as a number: what can't be read is not taken for absent.
    claims = f'{json.dumps(claims_with())[:-1]}, "nbf": {value}}}'.encode()
    assert refused(forge(KEY, header_of(KEY), claims)) is TokenInvalid


@pytest.mark.parametrize("not_before", [NOW + 30, NOW + 31, NOW + 60])
def test_a_token_expires_after_it_becomes_valid(not_before: int) -> None:
    assert refused(token_with(nbf=not_before, exp=NOW + 30)) is TokenInvalid


@pytest.mark.parametrize("expires_at", [NOW + 30, NOW + 29, 0, -1])
def test_a_token_expires_after_it_was_issued(expires_at: int) -> None:
    assert refused(token_with(iat=NOW + 30, exp=expires_at)) is TokenInvalid


def test_the_time_is_the_one_that_was_handed_in() -> None:
    long_ago = int(time.time()) - 10**9
    token = token_with(iat=long_ago, exp=long_ago + 10)
    assert VERIFIER.verify(token, long_ago * 1000).issued_at == long_ago
    far_ahead = int(time.time()) + 10**9
    token = token_with(iat=far_ahead, exp=far_ahead + 10, nbf=far_ahead)
    assert VERIFIER.verify(token, far_ahead * 1000).issued_at == far_ahead


@pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"])
def test_the_type_is_compared_as_a_media_type(kind: str) -> None:
    assert VERIFIER.verify(token_under(typ=kind), START_MS) == CLAIMS


@pytest.mark.parametrize("kind", ["JWT", "", "at", "at+jwt ", "jwt+at", "application/jwt", "x/at+jwt", 1, ["at+jwt"]])
def test_another_type_is_refused(kind: Any) -> None:
    assert refused(token_under(typ=kind)) is TokenInvalid


@pytest.mark.parametrize("name", ["typ", "alg", "kid"])
def test_every_header_member_has_to_be_there(name: str) -> None:
    assert refused(token_under(**{name: None})) is TokenInvalid


@pytest.mark.parametrize("name", ["cty", "x", ""])
def test_no_other_header_member_may_be_there(name: str) -> None:
    assert refused(token_under(**{name: "JWT"})) is TokenInvalid


def test_an_unknown_key_is_told_apart_so_that_it_can_be_looked_for() -> None:
    other = signing_key("ES256", 2)
    token = forge(other, header_of(other), claims_with())
    assert refused(token) is UnknownKey
    assert issubclass(UnknownKey, TokenInvalid)
    assert verifier_of(KEY, other).verify(token, START_MS) == CLAIMS


@pytest.mark.parametrize("kid", [1, True, ["x"], {"x": 1}, 1.5])
def test_a_kid_that_is_no_text_is_refused_before_it_is_looked_for(kid: Any) -> None:
    assert refused(token_under(kid=kid)) is TokenInvalid


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("named", ["ES256", "EdDSA", "RS256", "HS256", "ES512", "PS256", "none", "", 1, ["ES256"]])
def test_a_token_has_to_name_the_algorithm_of_its_key(algorithm: str, named: Any) -> None:
    key = signing_key(algorithm)
    token = forge(key, header_of(key, alg=named), claims_with())
    if named == algorithm:
        assert verifier_of(key).verify(token, START_MS) == CLAIMS
    else:
        assert refused(token, verifier_of(key)) is TokenInvalid


def test_keys_of_two_algorithms_are_believed_side_by_side_each_for_its_own() -> None:
    new, old = signing_key("EdDSA"), signing_key("RS256")
    verifier = verifier_of(new, old)
    for key in (new, old):
        assert verifier.verify(forge(key, header_of(key), claims_with()), START_MS) == CLAIMS
    crossed = forge(new, header_of(old), claims_with())
    assert refused(crossed, verifier) is TokenInvalid


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d", "a.b.c.d.e", "é.é.é", "Bearer x.y.z", "\0.\0.\0", "\ud800.a.b"],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    assert refused(token) is TokenInvalid


@pytest.mark.parametrize(
    "part", [b"[]", b'"x"', b"1", b"null", b"true", b"{", b"", b"{}x", b"[" * 3000, b'{"a":' * 500]
)
def test_header_and_claims_have_to_be_objects(part: bytes) -> None:
    assert refused(forge(KEY, part, claims_with())) is TokenInvalid
    assert refused(forge(KEY, header_of(KEY), part)) is TokenInvalid


def test_a_token_of_an_older_version_does_not_say_when_and_how_its_user_has_signed_in() -> None:
    claims = VERIFIER.verify(token_with(auth_time=None, amr=None), START_MS)
    assert claims == replace(CLAIMS, auth_time=None, amr=())
    assert claims.to_jwt() == claims_with(auth_time=None, amr=None)


def test_who_has_signed_in_by_a_clock_that_was_ahead_has_a_good_token() -> None:
    for auth_time in (0, NOW + 61, NOW + 900, 10**20):
        assert VERIFIER.verify(token_with(auth_time=auth_time), START_MS).auth_time == auth_time


@pytest.mark.parametrize("value", [True, 1.0, "1790000000", [1_790_000_000], {}])
def test_the_time_of_a_sign_in_has_to_be_a_whole_number(value: Any) -> None:
    assert refused(token_with(auth_time=value)) is TokenInvalid


@pytest.mark.parametrize(
    "value", ["pwd", 5, True, {"pwd": 1}, [5], [None], [""], ["pwd", ["otp"]], ["pwd\n"], ["\ud800"]]
)
def test_methods_have_to_be_a_list_of_texts(value: Any) -> None:
    assert refused(token_with(amr=value)) is TokenInvalid


@pytest.mark.parametrize("name", ["auth_time", "amr"])
def test_null_says_neither_when_nor_how_somebody_has_signed_in(name: str) -> None:
    assert refused(forge(KEY, header_of(KEY), claims_with() | {name: None})) is TokenInvalid


def test_claims_of_others_are_passed_over() -> None:
    assert VERIFIER.verify(token_with(scope="all", azp=[1]), START_MS) == CLAIMS


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_form_header_and_key_are_judged_before_the_signature_and_without_pyjwt(
    algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached(token: str, key: VerificationKey) -> None:
        pytest.fail(f"{key.algorithm}: {token}")

    monkeypatch.setattr("watchword_client.token_checks.check_signature", reached)
    key = signing_key(algorithm)
    verifier = verifier_of(key)
    header, claims, signed = forge(key, header_of(key), claims_with()).split(".")
    for text in ("AB", "A", "AAB", "AAAAA"):
        assert refused(f"{header}.{claims}.{text}", verifier) is TokenInvalid
        assert refused(f"{text}.{claims}.{signed}", verifier) is TokenInvalid
    for change in ({"alg": "none"}, {"alg": "ES384"}, {"typ": "JWT"}, {"jku": "x"}):
        assert refused(forge(key, header_of(key, **change), claims_with()), verifier) is TokenInvalid
    with pytest.raises(pytest.fail.Exception):
        verifier.verify(f"{header}.{claims}.{signed}", START_MS)
