from __future__ import annotations

import base64
import itertools
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.clock import START_MS
from tests.forging import (
    ALGORITHMS,
    AUDIENCE,
    CLAIMS,
    ISSUER,
    SECRET,
    base64url,
    claims_with,
    forge,
    header_of,
    signing_key,
)
from tests.watchword_client.jwks import JWK, PAIRS, good, public, shared
from watchword_client.errors import KeyRefused, TokenInvalid
from watchword_client.jwk import MAXIMUM_KID_LENGTH, KeySet, UnknownKind, load_jwk
from watchword_client.keys import VerificationKey, secret_kid
from watchword_client.token_checks import TokenChecks

# RFC 7638 section 3.1: a key with its thumbprint.
RFC_7638_KEY: JWK = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n"
    "3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHz"
    "u6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8aw"
    "apJzKnqDKgw",
    "e": "AQAB",
    "alg": "RS256",
}
RFC_7638_THUMBPRINT = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
# RFC 8037 appendix A.2 and A.3.
RFC_8037_KEY: JWK = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
RFC_8037_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"

ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 1.5, 10**400, "", " ", "x", "AA", "AQAB", "=", "é", "\ud800", "\0", "x" * 300,
    [], ["verify"], ["x", ["y"]], [None], {}, {"x": "y"}, "sig", "enc", "none", "RS256", "HS256", "EC", "RSA", "oct",
    "OKP", "P-256", "P-521", "Ed25519", "Ed448", "../x", b"AA",
)  # fmt: skip


def number(value: int) -> str:
    return base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def refusal(jwk: JWK, kind: type[KeyRefused] = KeyRefused) -> str:
    """The message with which a key is refused, alone and in a set of good keys; it repeats no key material."""
    with pytest.raises(KeyRefused) as caught:
        load_jwk(jwk)
    assert caught.type is kind
    message = str(caught.value)
    for name in ("x", "y", "n", "k", "d"):
        if isinstance(jwk.get(name), str) and len(jwk[name]) > 3:
            assert jwk[name][:8] not in message
    document = {"keys": [public("ES256", 3), jwk]}
    if kind is KeyRefused:
        with pytest.raises(KeyRefused):
            KeySet.of(document)
    else:
        assert KeySet.of(document).kids() == {public("ES256", 3)["kid"]}
    return message


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_good_key_verifies_the_tokens_that_it_signed(algorithm: str) -> None:
    key = signing_key(algorithm)
    jwk = shared(key.material) if algorithm == "HS256" else public(algorithm)
    for document in (jwk, {"keys": [jwk]}):
        verifier = TokenChecks(KeySet.parse(json.dumps(document)), issuer=ISSUER, audience=AUDIENCE)
        assert verifier.verify(forge(key, header_of(key), claims_with()), START_MS) == CLAIMS


def test_a_key_without_a_name_is_named_by_its_thumbprint() -> None:
    assert load_jwk(RFC_7638_KEY).kid == RFC_7638_THUMBPRINT
    assert load_jwk(RFC_8037_KEY).kid == RFC_8037_THUMBPRINT
    assert load_jwk(RFC_7638_KEY | {"kid": "2011-04-29"}).kid == "2011-04-29"


def test_a_secret_without_a_name_has_the_one_that_watchword_gives_it() -> None:
    assert load_jwk(shared()) == VerificationKey(secret_kid(SECRET), "HS256", SECRET)


def test_ed25519_is_another_name_of_eddsa_with_that_curve() -> None:
    """RFC 9864 section 2.2."""
    assert load_jwk(public("EdDSA", alg="Ed25519")) == load_jwk(public("EdDSA"))
    refusal(public("EdDSA", alg="Ed448"), UnknownKind)


@pytest.mark.parametrize("algorithm", PAIRS)
def test_without_alg_a_key_is_for_the_algorithm_of_its_kind(algorithm: str) -> None:
    assert load_jwk(public(algorithm, alg=None)) == load_jwk(public(algorithm))


@pytest.mark.parametrize(
    ("algorithm", "changes"),
    [
        ("ES256", {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}),
        ("ES256", {"kty": "ec"}),
        ("ES256", {"kty": ""}),
        ("ES256", {"crv": "P-384"}),
        ("ES256", {"crv": "secp256k1"}),
        ("ES256", {"crv": "p-256"}),
        ("ES256", {"crv": None}),
        ("EdDSA", {"crv": "X25519"}),
        ("ES256", {"alg": "ES384"}),
        ("ES256", {"alg": "RS256"}),
        ("ES256", {"alg": "HS256"}),
        ("RS256", {"alg": "PS256"}),
        ("RS256", {"alg": "RS512"}),
        ("RS256", {"alg": "none"}),
        ("RS256", {"alg": ""}),
        ("HS256", {"alg": "HS512"}),
        ("HS256", {"alg": "RS256"}),
        ("HS256", {"alg": "A256GCM"}),
    ],
)
def test_a_key_of_an_unknown_kind_is_passed_over_in_a_set_and_refused_alone(
    algorithm: str, changes: dict[str, Any]
) -> None:
    jwk = {name: value for name, value in (good(algorithm) | changes).items() if value is not None}
    refusal(jwk, UnknownKind)
    with pytest.raises(KeyRefused, match="no key that could verify"):
        KeySet.of({"keys": [jwk]})


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("use", ["enc", "", "SIG", "sig ", ["sig"], 1, {}, True])
def test_a_key_for_another_use_is_refused(algorithm: str, use: Any) -> None:
    assert "use" in refusal(good(algorithm) | {"use": use})
    assert load_jwk(good(algorithm) | {"use": "sig"}) == load_jwk(good(algorithm))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    "operations",
    [
        [], ["sign"], ["encrypt"], ["verify", "encrypt"], ["verify", "verify"], ["verify", "deriveKey"], ["Verify"],
        "verify", {"verify": True}, ["verify", 1], ["verify", ["verify"]], [None], 1, None,
    ],
    ids=str,
)  # fmt: skip
def test_a_key_for_other_operations_is_refused(algorithm: str, operations: Any) -> None:
    assert "key_ops" in refusal(good(algorithm) | {"key_ops": operations})
    for fit in (["verify"], ["sign", "verify"], ["verify", "sign"]):
        assert load_jwk(good(algorithm) | {"key_ops": fit}) == load_jwk(good(algorithm))


@pytest.mark.parametrize("name", ["d", "p", "q", "dp", "dq", "qi", "oth", "priv"])
@pytest.mark.parametrize("value", ["AA", "", None, 1])
def test_private_parts_are_refused_wherever_they_are(name: str, value: Any) -> None:
    for algorithm in ALGORITHMS:
        assert "private" in refusal(good(algorithm) | {name: value})
    assert "private" in refusal({"kty": "AKP", "alg": "ML-DSA-44", name: value})


@pytest.mark.parametrize("algorithm", PAIRS)
def test_a_secret_in_a_public_key_is_refused(algorithm: str) -> None:
    assert "private" in refusal(public(algorithm, k=base64url(SECRET)))


@pytest.mark.parametrize(
    ("bits", "fit"), [(512, False), (1024, False), (2047, False), (2048, True), (8192, True), (8193, False)]
)
def test_an_rsa_key_has_2048_to_8192_bits(bits: int, fit: bool) -> None:
    jwk = public("RS256", n=number(2 ** (bits - 1) + 1))
    if fit:
        assert load_jwk(jwk).material.key_size == bits
    else:
        assert "bits" in refusal(jwk)


def test_a_huge_rsa_key_is_refused_before_anything_is_computed_with_it() -> None:
    assert "bits" in refusal(public("RS256", n=number(2**1_500_000 + 1)))
    assert "exponent" in refusal(public("RS256", e=number(2**1_500_000 + 1)))


@pytest.mark.parametrize("exponent", [1, 2, 3, 17, 65535, 65536, 65538, 2**32, 2**32 + 1, 2**2048])
def test_the_exponent_of_an_rsa_key_is_odd_and_from_65537_to_2_32(exponent: int) -> None:
    refusal(public("RS256", e=number(exponent)))
    assert load_jwk(public("RS256", e=number(2**32 - 1))).material.public_numbers().e == 2**32 - 1


@pytest.mark.parametrize("name", ["n", "e"])
def test_a_number_has_no_leading_zeros(name: str) -> None:
    jwk = public("RS256")
    for text in (base64url(b"\0" + decoded(jwk[name])), base64url(b"\0\0" + decoded(jwk[name])), "", "AA"):
        assert f"`{name}`" in refusal(jwk | {name: text})


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")


@pytest.mark.parametrize("secret", [b"", b"x", b"x" * 31, SECRET[:31]])
def test_a_short_secret_is_refused(secret: bytes) -> None:
    assert "32 bytes" in refusal(shared(secret))
    assert load_jwk(shared(SECRET[:32])).material == SECRET[:32]


@pytest.mark.parametrize("algorithm", PAIRS)
def test_a_public_key_as_a_secret_is_refused(algorithm: str) -> None:
    key = signing_key(algorithm).material.public_key()
    jwk = public(algorithm)
    for text in (
        key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        json.dumps(jwk).encode(),
        json.dumps({"keys": [jwk]}).encode(),
    ):
        assert "public key" in refusal(shared(text))


@pytest.mark.parametrize(
    ("algorithm", "names"), [("ES256", ("x", "y")), ("EdDSA", ("x",)), ("RS256", ("n", "e")), ("HS256", ("k",))]
)
def test_what_is_not_base64url_in_its_one_spelling_is_refused(algorithm: str, names: tuple[str, ...]) -> None:
    jwk = good(algorithm)
    for name in names:
        text = jwk[name]
        for wrong in (
            text + "=",
            text + "==",
            " " + text,
            text + "\n",
            text[:4] + "+" + text[4:],
            "é" * 43,
        ):
            assert f"`{name}`" in refusal(jwk | {name: wrong})
        without = {member: value for member, value in jwk.items() if member != name}
        assert f"`{name}`" in refusal(without)


@pytest.mark.parametrize("size", [0, 1, 31, 33, 48, 64])
def test_coordinates_have_32_bytes(size: int) -> None:
    for algorithm, name in (("ES256", "x"), ("ES256", "y"), ("EdDSA", "x")):
        assert "32 bytes" in refusal(public(algorithm) | {name: base64url(b"\1" * size)})


@pytest.mark.parametrize("point", [(0, 0), (1, 1), (2**256 - 1, 2**256 - 1), (0, 1)])
def test_a_point_off_the_curve_is_refused(point: tuple[int, int]) -> None:
    x, y = (base64url(value.to_bytes(32, "big")) for value in point)
    assert "can't be read" in refusal(public("ES256", x=x, y=y))
    swapped = public("ES256")
    assert "can't be read" in refusal(swapped | {"x": swapped["y"], "y": swapped["x"]})


def test_coordinates_of_another_field_element_are_refused() -> None:
    """A coordinate and the prime more is the same element, and would be another spelling of the key."""
    prime = 2**256 - 2**224 + 2**192 + 2**96 - 1
    # The point with x = 5, which is small enough to have two spellings in 32 bytes.
    y = 31468013646237722594854082025316614106172411895747863909393730389177298123724
    assert load_jwk(public("ES256", x=base64url((5).to_bytes(32, "big")), y=base64url(y.to_bytes(32, "big"))))
    refusal(public("ES256", x=base64url((prime + 5).to_bytes(32, "big")), y=base64url(y.to_bytes(32, "big"))))


def test_an_ed25519_key_that_is_no_point_verifies_nothing() -> None:
    key = signing_key("EdDSA")
    jwk = public("EdDSA", x=base64url(b"\2" + b"\0" * 31))
    verifier = TokenChecks(KeySet.of(jwk), issuer=ISSUER, audience=AUDIENCE)
    with pytest.raises(TokenInvalid):
        verifier.verify(forge(key, header_of(key), claims_with()), START_MS)


@pytest.mark.parametrize("kid", ["", "x" * (MAXIMUM_KID_LENGTH + 1), 1, None, ["x"], {}, True])
def test_a_name_is_a_text_of_bounded_length(kid: Any) -> None:
    if kid is None:
        assert load_jwk(public("ES256") | {"kid": None}) == load_jwk(public("ES256"))
    else:
        assert "kid" in refusal(public("ES256") | {"kid": kid})
    assert load_jwk(public("ES256", kid="x" * MAXIMUM_KID_LENGTH)).kid == "x" * MAXIMUM_KID_LENGTH


def test_other_members_are_passed_over() -> None:
    jwk = public("ES256", x5c=["MIIB"], x5u="file:///etc/passwd", iat=1, ext=True)
    assert load_jwk(jwk) == load_jwk(public("ES256"))
    assert KeySet.of({"keys": [jwk], "next": "x"}).kids() == {jwk["kid"]}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_whatever_a_member_is_the_key_is_taken_or_refused_and_nothing_else_happens(algorithm: str) -> None:
    whole = good(algorithm) | {"use": "sig", "key_ops": ["verify"], "kid": "x", "alg": algorithm}
    outcomes: set[type] = set()
    for name, value in itertools.product([*whole, "d", "x5c", "keys"], ODD):
        for jwk in (whole | {name: value}, {**whole, name: value, "kid": value}, {name: value}):
            try:
                outcomes.add(type(load_jwk(jwk)))
            except KeyRefused as error:
                outcomes.add(type(error))
            for document in (jwk, {"keys": [jwk]}, {"keys": value}):
                try:
                    KeySet.of(document)
                except KeyRefused:
                    continue
    assert outcomes == {VerificationKey, KeyRefused, UnknownKind}


def test_keys_are_of_the_classes_that_pyjwt_takes() -> None:
    kinds = {"ES256": ec.EllipticCurvePublicKey, "EdDSA": ed25519.Ed25519PublicKey, "RS256": rsa.RSAPublicKey}
    for algorithm, kind in kinds.items():
        assert isinstance(load_jwk(public(algorithm)).material, kind)


@pytest.mark.parametrize("y", [0, 1, -1], ids=["order 4", "order 1", "order 2"])
def test_a_point_of_small_order_verifies_nothing(y: int) -> None:
    """RFC 8725 section 3.4: such a key verifies signatures that nobody needed a secret for."""
    for encoded in (y % (2**255 - 19), y % (2**255 - 19) + 2**255):
        x = base64url(encoded.to_bytes(32, "little"))
        with pytest.raises(KeyRefused, match="small order"):
            load_jwk({"kty": "OKP", "crv": "Ed25519", "x": x})


def test_what_a_key_of_small_order_would_verify_is_a_forgery() -> None:
    """Shows why: under the neutral point the signature (neutral point, 0) fits every token."""
    neutral = (1).to_bytes(32, "little")
    key = VerificationKey("small", "EdDSA", ed25519.Ed25519PublicKey.from_public_bytes(neutral))
    header = base64url(json.dumps({"typ": "at+jwt", "alg": "EdDSA", "kid": "small"}).encode())
    token = f"{header}.{base64url(json.dumps(claims_with()).encode())}.{base64url(neutral + bytes(32))}"
    assert TokenChecks(KeySet([key]), issuer=ISSUER, audience=AUDIENCE).verify(token, START_MS) == CLAIMS
    with pytest.raises(KeyRefused):
        load_jwk({"kty": "OKP", "crv": "Ed25519", "x": base64url(neutral), "kid": "small"})
