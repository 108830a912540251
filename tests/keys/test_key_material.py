from __future__ import annotations

import json
from typing import Any

import joserfc.jwk
import joserfc.jws
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from server.keys.key_material import PrivateKey, dump, generate, load, public_jwk
from server.keys.signer import Signer
from tests.forging import CLAIMS, Keys, signing_key
from watchword_client.jwk import load_jwk
from watchword_client.keys import VerificationKey

PAIRS = ("ES256", "EdDSA", "RS256")


@pytest.mark.parametrize("algorithm", PAIRS)
def test_a_private_key_is_the_same_after_dump_and_load(algorithm: str) -> None:
    key: PrivateKey = signing_key(algorithm).material
    again = load(dump(key))
    assert dump(again) == dump(key)
    assert public_jwk(again, algorithm) == public_jwk(key, algorithm)


@pytest.mark.parametrize("algorithm", PAIRS)
def test_each_generated_key_is_another(algorithm: str) -> None:
    assert dump(generate(algorithm)) != dump(generate(algorithm))


def test_keys_are_of_the_kind_and_size_that_the_algorithm_asks_for() -> None:
    es256, rs256 = signing_key("ES256").material, signing_key("RS256").material
    assert isinstance(es256, ec.EllipticCurvePrivateKey)
    assert es256.curve.name == "secp256r1"
    assert isinstance(rs256, rsa.RSAPrivateKey)
    assert rs256.key_size >= 2048
    assert rs256.public_key().public_numbers().e == 65537


@pytest.mark.parametrize("algorithm", ["HS256", "none", "ES384", "es256", ""])
def test_there_are_no_pairs_of_other_algorithms(algorithm: str) -> None:
    with pytest.raises(ValueError, match="no key pair"):
        generate(algorithm)


@pytest.mark.parametrize(
    ("algorithm", "members"),
    [
        ("ES256", {"kty": "EC", "crv": "P-256"} | dict.fromkeys(("x", "y"))),
        ("EdDSA", {"kty": "OKP", "crv": "Ed25519"} | dict.fromkeys(("x",))),
        ("RS256", {"kty": "RSA", "e": "AQAB"} | dict.fromkeys(("n",))),
    ],
)
def test_a_published_key_says_what_it_is_for_and_nothing_more(algorithm: str, members: dict[str, str | None]) -> None:
    jwk = public_jwk(signing_key(algorithm).material, algorithm)
    assert jwk.keys() == members.keys() | {"alg", "use", "kid"}
    known = {name: value for name, value in members.items() if value}
    assert jwk | known | {"alg": algorithm, "use": "sig"} == jwk


@pytest.mark.parametrize("algorithm", PAIRS)
def test_the_kid_is_the_thumbprint_that_others_compute_too(algorithm: str) -> None:
    jwk: dict[str, Any] = dict(public_jwk(signing_key(algorithm).material, algorithm))
    assert joserfc.jwk.import_key(jwk).thumbprint() == jwk["kid"]


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated:joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("algorithm", PAIRS)
def test_another_library_verifies_our_tokens_with_the_published_key(algorithm: str) -> None:
    key = signing_key(algorithm)
    jwk: dict[str, Any] = dict(public_jwk(key.material, algorithm))
    token = Signer(Keys(key)).sign(CLAIMS)
    read = joserfc.jws.deserialize_compact(token, joserfc.jwk.import_key(jwk), [algorithm])
    assert json.loads(read.payload) == CLAIMS.to_jwt()


@pytest.mark.parametrize("algorithm", PAIRS)
def test_a_published_key_is_read_back(algorithm: str) -> None:
    private: PrivateKey = signing_key(algorithm).material
    jwk = public_jwk(private, algorithm)
    assert load_jwk(json.loads(json.dumps(jwk))) == VerificationKey(jwk["kid"], algorithm, private.public_key())


def test_keys_of_other_kinds_are_not_loaded() -> None:
    other = ed448.Ed448PrivateKey.generate().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(TypeError):
        load(other)


@pytest.mark.parametrize("data", [b"", b"nonsense", dump(signing_key("ES256").material)[:-1]])
def test_what_is_no_key_is_not_loaded(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        load(data)
