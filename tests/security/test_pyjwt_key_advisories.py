"""What PyJWKClient, PyJWKSet and the import of JWKs were once vulnerable to, tried on ours: jwk.py and remote.py."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.core.errors import ConfigurationError
from server.keys.key_material import public_jwk
from tests.clock import START_MS
from tests.forging import (
    AUDIENCE,
    CLAIMS,
    ISSUER,
    base64url,
    claims_with,
    forge,
    header_of,
    signature,
    signing_key,
)
from tests.publisher import JWKS_PATH, Publisher
from tests.security.endless import ends
from tests.watchword_client.jwks import PAIRS, public, shared
from watchword_client.errors import KeyRefused, TokenInvalid
from watchword_client.jwk import KeySet, load_jwk
from watchword_client.remote import RemoteKeySet
from watchword_client.token_checks import MAXIMUM_LENGTH, TokenChecks

KEY = signing_key("ES256")
OTHER = signing_key("ES256", 2)
GOOD = forge(KEY, header_of(KEY), claims_with())


def of_an_unknown_key(number: int) -> str:
    return forge(OTHER, header_of(OTHER, kid=f"unknown {number}"), claims_with())


def refused_as_secret(secret: bytes) -> None:
    """Alone, in a set, and as the only secret that a verifier would have."""
    for document in (shared(secret), {"keys": [shared(secret)]}):
        with pytest.raises(KeyRefused):
            KeySet.of(document)


@pytest.mark.parametrize("scheme", ["file", "ftp", "data", "FILE", "jar", "netdoc"])
def test_cve_2026_48522_only_http_and_https_are_opened(scheme: str) -> None:
    """CVE-2026-48522, GHSA-993g-76c3-p5m4: the address of the keys could be file://, ftp:// or data:."""
    for url in (f"{scheme}:///etc/passwd", f"{scheme}://127.0.0.1/keys", f"{scheme}:application/json,{{}}"):
        with pytest.raises(ConfigurationError):
            RemoteKeySet(url)


@pytest.mark.parametrize("made", ["RS512", "PS256", "RS384"])
def test_cve_2026_48523_the_algorithm_of_a_key_is_the_one_that_verifies_and_the_one_that_is_said(made: str) -> None:
    """CVE-2026-48523, GHSA-jq35-7prp-9v3f: the `alg` of a JWK verified what had been let in under another name."""
    key = signing_key("RS256")
    for alg in ("RS256", None, made):
        jwk = public("RS256", alg=alg, kid=key.kid)
        # A key for another algorithm is of no use here, whatever its owner signs with it.
        keys = KeySet.of({"keys": [jwk, public("EdDSA")]})
        verifier = TokenChecks(keys, issuer=ISSUER, audience=AUDIENCE)
        for said in ("RS256", made):
            signed = ".".join(
                base64url(json.dumps(part).encode()) for part in (header_of(key, alg=said), claims_with())
            )
            with pytest.raises(TokenInvalid):
                verifier.verify(f"{signed}.{base64url(signature(made, key.material, signed))}", START_MS)
    believed = TokenChecks(KeySet.of(public("RS256")), issuer=ISSUER, audience=AUDIENCE)
    assert believed.verify(forge(key, header_of(key), claims_with()), START_MS) == CLAIMS


async def test_cve_2026_48524_a_fetch_that_fails_takes_no_key_away(publisher: Publisher) -> None:
    """CVE-2026-48524, GHSA-fhv5-28vv-h8m8: tokens of unknown keys made fetches; one that failed emptied the cache."""
    verifier = publisher.verifier()
    assert await verifier.verify(GOOD) == CLAIMS
    publisher.status = 429
    for number in range(20):
        publisher.clock.advance(10)
        with pytest.raises(TokenInvalid):
            await verifier.verify(of_an_unknown_key(number))
        fresh = forge(KEY, header_of(KEY), claims_with(jti=str(number)))
        assert (await verifier.verify(fresh)).jti == str(number)
    assert publisher.fetches == 21


async def test_cve_2026_101917_tokens_of_unknown_keys_do_not_multiply_fetches(publisher: Publisher) -> None:
    """CVE-2026-101917, GHSA-2gx3-rcp4-g85q: each of them still made one, though the set had just been fetched."""
    verifier = publisher.verifier()
    assert await verifier.verify(GOOD) == CLAIMS
    tokens = [of_an_unknown_key(number) for number in range(200)]
    # Three of these find no pause.
    for elapsed in (0, 4.9, 5, 0, 5):
        publisher.clock.advance(elapsed)
        results = await asyncio.gather(*(verifier.verify(token) for token in tokens), return_exceptions=True)
        assert all(isinstance(result, TokenInvalid) for result in results)
    assert publisher.fetches == 4
    assert publisher.most_at_once == 1


async def test_cve_2026_101918_a_nested_token_fails_no_look_up_of_keys(publisher: Publisher) -> None:
    """CVE-2026-101918, GHSA-42vr-xj54-vc7v: the payload was read before its key was known, to a RecursionError."""
    verifier = publisher.verifier()
    for nest in (b"[" * 2500, b'{"a":' * 500, b'{"exp":' + b"[" * 2400):
        nested_header = json.dumps(header_of(KEY))[:-1].encode() + b',"x":' + nest
        for header, payload in ((header_of(KEY), nest), (header_of(OTHER), nest), (nested_header, b"{}")):
            token = forge(KEY, header, payload)
            assert len(token) < MAXIMUM_LENGTH
            with pytest.raises(TokenInvalid):
                await verifier.verify(token)
    assert await verifier.verify(GOOD) == CLAIMS


@pytest.mark.parametrize("text", ["", "AA", base64url(bytes(31))])
def test_cve_2026_102266_an_empty_or_short_secret_is_no_key(text: str) -> None:
    """CVE-2026-102266, GHSA-9j54-fg26-wv3r: a JWK with an empty `k` verified what anybody could sign."""
    for jwk in ({"kty": "oct", "k": text}, {"kty": "oct", "k": text, "alg": "HS256", "kid": "x"}, {"kty": "oct"}):
        for document in (jwk, {"keys": [jwk]}, {"keys": [shared(), jwk]}):
            with pytest.raises(KeyRefused):
                KeySet.of(document)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_cve_2026_102267_no_redirect_is_followed(publisher: Publisher, status: int) -> None:
    """CVE-2026-102267, GHSA-9v7f-9g4p-ffgj: the trusted address could send on to keys of another host."""
    attacker = Publisher()
    attacker.publish(OTHER)
    await attacker.start()
    verifier = publisher.verifier()
    assert await verifier.verify(GOOD) == CLAIMS
    publisher.status = status
    for target in (attacker.url, attacker.url.replace(JWKS_PATH, "/x"), "//127.0.0.1/x", "file:///etc/passwd", "/x"):
        publisher.headers = {"Location": target}
        publisher.clock.advance(5)
        with pytest.raises(TokenInvalid):
            await verifier.verify(forge(OTHER, header_of(OTHER), claims_with()))
    assert publisher.fetches == 6
    assert (attacker.fetches, attacker.strayed, publisher.strayed) == (0, 0, 0)
    await attacker.close()


def test_cve_2026_102270_looking_for_pem_in_a_secret_takes_no_time() -> None:
    """CVE-2026-102270, GHSA-jwrc-g2q2-pq5p: an expression that looked for PEM took more than linear time."""
    with ends():
        for text in (b"----BEGIN PUBLIC KEY----", b"----BEGIN RSA PUBLIC KEY----\r\n", b"-----BEGIN", b"----- "):
            load_jwk(shared(text * (450_000 // len(text))))


@pytest.mark.parametrize("algorithm", PAIRS)
def test_cve_2026_102271_a_public_key_in_der_is_no_secret(algorithm: str) -> None:
    """CVE-2026-102271, GHSA-p4g4-x82p-q773: DER has none of the words by which public keys were told from secrets."""
    key = signing_key(algorithm).material.public_key()
    refused_as_secret(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    refused_as_secret(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16", "utf-32", "utf-8"])
def test_cve_2026_102272_a_public_jwk_behind_a_byte_order_mark_is_no_secret(coding: str) -> None:
    """CVE-2026-102272: a byte order mark hid that a secret was a public key in JSON."""
    for algorithm in PAIRS:
        refused_as_secret(json.dumps(public(algorithm)).encode(coding))


@pytest.mark.parametrize("algorithm", PAIRS)
def test_cve_2026_102273_a_jwk_within_a_document_is_no_secret(algorithm: str) -> None:
    """CVE-2026-102273: so did a list or an object around it."""
    jwk = public(algorithm)
    for document in ({"keys": [jwk]}, [jwk], {"jwks": {"keys": [jwk]}}, [[[jwk]]]):
        refused_as_secret(json.dumps(document).encode())


@pytest.mark.parametrize(
    "changes",
    [{"n": "!"}, {"n": "AA"}, {"n": "AQ", "e": "AQAB"}, {"e": "AA"}, {"e": "AQ"}, {"e": "Ag"}, {"n": 1}, {"e": []}],
)
async def test_cve_2026_102274_a_malformed_key_is_refused_and_the_good_ones_stay(
    publisher: Publisher, changes: dict[str, Any]
) -> None:
    """CVE-2026-102274, GHSA-w6j9-cwv2-h6wq: a malformed RSA key let a ValueError out, and no key of the set in."""
    jwk = public("RS256", **changes)
    for document in (jwk, {"keys": [public("ES256"), jwk]}):
        with pytest.raises(KeyRefused):
            KeySet.of(document)
    verifier = publisher.verifier()
    assert await verifier.verify(GOOD) == CLAIMS
    publisher.publish_jwks(public("ES256"), jwk)
    publisher.clock.advance(300)
    for number in range(3):
        fresh = forge(KEY, header_of(KEY), claims_with(jti=str(number)))
        assert (await verifier.verify(fresh)).jti == str(number)
        with pytest.raises(TokenInvalid):
            await verifier.verify(of_an_unknown_key(number))


def test_cve_2026_102275_a_private_key_is_no_public_one() -> None:
    """CVE-2026-102275, GHSA-x33g-cr3x-6449: beside a private key `x` could be the public half of another."""
    mine, theirs = signing_key("EdDSA"), signing_key("EdDSA", 2)
    seed = base64url(theirs.material.private_bytes_raw())
    for x in (public_jwk(mine.material, "EdDSA")["x"], public_jwk(theirs.material, "EdDSA")["x"]):
        with pytest.raises(KeyRefused, match="private"):
            load_jwk({"kty": "OKP", "crv": "Ed25519", "x": x, "d": seed})
