"""What fast-jwt (Node.js, NearForm) was once vulnerable to, tried on our checks and on what remembers its results."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from server.keys.key_material import SigningKey, public_jwk
from server.settings.tree import TokenSettings
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
from tests.running import Api
from tests.security.endless import ends
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
    unsigned,
    verifier_with,
)
from watchword_client.errors import TokenExpired, TokenInvalid
from watchword_client.token_checks import TokenChecks

on_sqlite = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


def pem_of(key: SigningKey) -> bytes:
    return public_bytes(key, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("form", [PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1], ids=["PUBLIC", "RSA PUBLIC"])
def test_cve_2023_48223_a_public_key_of_any_label_is_no_hmac_secret(form: PublicFormat) -> None:
    """CVE-2023-48223: `BEGIN PUBLIC KEY` was not known for a public key, `BEGIN RSA PUBLIC KEY` alone was."""
    key = signing_key("RS256")
    assert_no_hmac_secret(key, public_bytes(key, Encoding.PEM, form))


@pytest.mark.parametrize("more", [[], ["https://attacker.example"], ["", None], [[ISSUER]]])
def test_cve_2025_30144_a_list_of_issuers_is_no_issuer(more: list[Any]) -> None:
    """CVE-2025-30144: `iss` could be a list, and one right name in it was enough."""
    assert_taken(GOOD)
    for issuers in ([ISSUER, *more], [*more, ISSUER], {ISSUER: more}, json.dumps([ISSUER, *more]), f"{ISSUER},{more}"):
        assert_refused(forge(KEY, header_of(KEY), claims_with(iss=issuers)))


@pytest.mark.parametrize(
    "before", [b" ", b"\n", b"\t", b"\r\n", b"\v", b"\f", b" \n\t ", "\u00a0".encode(), "\u2003".encode()]
)
def test_cve_2026_34950_a_public_key_behind_whitespace_is_no_hmac_secret(before: bytes) -> None:
    """CVE-2026-34950: whitespace before the first line brought CVE-2023-48223 back."""
    for algorithm in PAIRS:
        assert_no_hmac_secret(signing_key(algorithm), before + pem_of(signing_key(algorithm)))


@on_sqlite
async def test_cve_2026_35039_no_token_is_remembered_under_the_name_of_another(api: Api) -> None:
    """CVE-2026-35039: with a key of one's own making, tokens shared a place in the cache, and so their claims.

    Ours is the whole token. All of these have the same issuer, audience, times and length, and differ in one claim.
    """
    authenticator, key = api.services.authenticator, api.services.keys.current.signing_key()
    first = await authenticator.verify(await api.token("lak"))
    claims = [
        replace(first, username=f"user{number:04}", session_id=api.services.ids.new_id()) for number in range(300)
    ]
    tokens = [forge(key, header_of(key), one.to_jwt()) for one in claims]
    for token, one in zip(tokens, claims, strict=True):
        assert await authenticator.verify(token) == one
    for token, one in zip(reversed(tokens), reversed(claims), strict=True):
        assert api.services.verifier.remembered(token) == one
    header, payload, last = tokens[0].split(".")
    _, other_payload, other_last = tokens[1].split(".")
    for mixed in (
        f"{header}.{payload}.{other_last}",
        f"{header}.{other_payload}.{last}",
        tokens[0][:-1],
        tokens[0] + "=",
        " " + tokens[0],
        tokens[0].swapcase(),
        f"{header}.{payload}.",
        last,
        "",
    ):
        assert api.services.verifier.remembered(mixed) is None
        with pytest.raises(TokenInvalid):
            await authenticator.verify(mixed)


@pytest.mark.parametrize("pattern", [".*", ISSUER, f"^{ISSUER}$", f"/{ISSUER}/g", f"/{ISSUER}/y", "https://[a-z.]+"])
def test_cve_2026_35040_a_second_look_gives_the_same_answer(pattern: str) -> None:
    """CVE-2026-35040: an issuer or audience given as a pattern with /g or /y was found at every second token only.

    Here they are texts, also where they look like patterns, and nothing is kept from one token to the next.
    """
    for name in ("issuer", "audience"):
        names = {"issuer": ISSUER, "audience": AUDIENCE, name: pattern}
        verifier = TokenChecks(Keys(KEY), **names)
        same = forge(KEY, header_of(KEY), claims_with(iss=names["issuer"], aud=names["audience"]))
        other = forge(KEY, header_of(KEY), claims_with(iss=ISSUER + "x", aud=AUDIENCE + "x"))
        for _ in range(6):
            assert_taken(same, verifier)
            assert_refused(other, verifier)
            if pattern != ISSUER:
                assert_refused(GOOD, verifier)


@pytest.mark.parametrize("pattern", ["^(a+)+X$", "(a|aa)+$", "(.*)*x", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_cve_2026_35041_no_claim_makes_a_comparison_long(pattern: str) -> None:
    """CVE-2026-35041: a claim made for the pattern that it was held against took seconds; here it is compared."""
    verifier = TokenChecks(Keys(KEY), issuer=pattern, audience=pattern)
    assert_taken(forge(KEY, header_of(KEY), claims_with(iss=pattern, aud=pattern)), verifier)
    long = "a" * 1000 + "!"
    with ends():
        assert_refused(forge(KEY, header_of(KEY), claims_with(iss=pattern, aud=long)), verifier)
        assert_refused(forge(KEY, header_of(KEY), claims_with(iss=long, aud=pattern)), verifier)
        assert_refused(forge(KEY, header_of(KEY, typ=long), claims_with()))


@pytest.mark.parametrize("critical", [["x-custom-policy"], ["x-custom-policy", "exp"], ["cnf"], ["b64"], [], "cnf"])
def test_cve_2026_35042_a_critical_extension_is_not_passed_over(critical: Any) -> None:
    """CVE-2026-35042: `crit` was not looked at (RFC 7515 section 4.1.11)."""
    assert_taken(GOOD)
    header = header_of(KEY) | {"crit": critical, "x-custom-policy": "require-mfa", "cnf": {"jkt": "x"}}
    assert_refused(forge(KEY, header, claims_with()))
    assert_refused(forge(KEY, header_of(KEY) | {"crit": critical}, claims_with()))


@pytest.mark.parametrize("empty", [b"", ""])
def test_cve_2026_44351_an_unknown_key_is_not_an_empty_secret(empty: Any) -> None:
    """CVE-2026-44351: for a `kid` that was not known, look-ups gave an empty text, and that was a secret of HMAC."""
    secret = signing_key("HS256")
    assert_taken(by_hmac(secret.material, header_of(secret)), verifier_of(secret))
    for kid in ("unknown", "", secret.kid):
        assert_refused(by_hmac(b"", header_of(secret) | {"kid": kid}), verifier_of(secret))
        # Even if a source of keys should do so.
        assert_refused(by_hmac(b"", header_of(secret) | {"kid": kid}), verifier_with("HS256", empty))


@on_sqlite
async def test_cve_2026_107719_a_token_is_remembered_until_exp_and_no_longer(api: Api) -> None:
    """CVE-2026-107719: a token without `iat` was remembered for the life of the cache, beyond its `exp`."""
    authenticator, key = api.services.authenticator, api.services.keys.current.signing_key()
    claims = await authenticator.verify(await api.token("lak"))
    for issued_at in (claims.issued_at - 3600, claims.issued_at, claims.issued_at + 9):
        now = api.clock.now_ms()
        lasting = replace(claims, issued_at=issued_at, expires_at=now // 1000 + 10)
        token = forge(key, header_of(key), lasting.to_jwt())
        assert await authenticator.verify(token) == lasting
        api.clock.advance(lasting.expires_at - now / 1000 - 0.001)
        assert api.services.verifier.remembered(token) == lasting
        api.clock.advance(0.001)
        assert api.services.verifier.remembered(token) is None
        with pytest.raises(TokenExpired):
            await authenticator.verify(token)
    without = claims.to_jwt() | {"exp": api.clock.now_ms() // 1000 + 10}
    del without["iat"]
    with pytest.raises(TokenInvalid):
        await authenticator.verify(forge(key, header_of(key), without))
    assert api.services.verifier.remembered(forge(key, header_of(key), without)) is None


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_cve_2026_107720_without_a_key_no_signature_is_right(algorithm: str) -> None:
    """CVE-2026-107720: with an empty key and a list of algorithms the signature was not checked at all."""
    key = signing_key(algorithm)
    assert_taken(forge(key, header_of(key), claims_with()), verifier_of(key))
    for empty in (b"", ""):
        verifier = verifier_with(algorithm, empty)
        assert_refused(forge(key, header_of(key), claims_with()), verifier)
        assert_refused(by_hmac(b"", header_of(key)), verifier)
        for last in ("", "AA", "x" * 86):
            assert_refused(f"{unsigned(header_of(key))}.{last}", verifier)


@pytest.mark.parametrize("endless", ["Infinity", "-Infinity", "NaN", "1e400", "1e999"])
def test_cve_2026_107721_nothing_lasts_for_ever(endless: str) -> None:
    """CVE-2026-107721: a tolerance of Infinity switched `exp` and `nbf` off. Ours is fixed, and times are finite."""
    long_ago = forge(KEY, header_of(KEY), claims_with(iat=NOW - 7200, exp=NOW - 3600))
    with pytest.raises(TokenExpired):
        VERIFIER.verify(long_ago, START_MS)
    for name in ("iat", "exp"):
        said = PAYLOAD.replace(f'"{name}": {claims_with()[name]}', f'"{name}": {endless}')
        assert_refused(forge(KEY, HEADER.encode(), said.encode()))
    assert TokenSettings(access_ttl_seconds=86400).access_ttl_seconds == 86400
    with pytest.raises(ValidationError):
        TokenSettings.model_validate({"access_ttl_seconds": float(endless)})


@pytest.mark.parametrize(
    "before", [b"#\n", b"# a comment\n", b"\0", "\u200b".encode(), b"Proc-Type: 4\n\n", b"x", b"\xff"]
)
def test_cve_2026_107722_a_public_key_behind_anything_is_no_hmac_secret(before: bytes) -> None:
    """CVE-2026-107722: after CVE-2026-34950 any other character before the first line did the same."""
    for algorithm in PAIRS:
        assert_no_hmac_secret(signing_key(algorithm), before + pem_of(signing_key(algorithm)))


@pytest.mark.parametrize(
    "payload",
    [[], [CLAIMS.to_jwt()], list(CLAIMS.to_jwt()), list(CLAIMS.to_jwt().items()), [[]], "claims", 1, True, None],
    ids=lambda payload: json.dumps(payload)[:12],
)
def test_cve_2026_107723_claims_are_an_object_and_no_list(payload: Any) -> None:
    """CVE-2026-107723: in a list no claim was found, so none was checked, and the token was good."""
    assert_taken(GOOD)
    assert_refused(forge(KEY, header_of(KEY), json.dumps(payload).encode()))
    assert_refused(forge(KEY, json.dumps(payload).encode(), claims_with()))


@pytest.mark.parametrize("algorithm", PAIRS)
def test_cve_2026_107724_a_public_jwk_in_json_is_no_hmac_secret(algorithm: str) -> None:
    """CVE-2026-107724: what was not PEM was a secret, such as the text of a JWK or of a whole JWKS."""
    key = signing_key(algorithm)
    jwk = public_jwk(key.material, algorithm)
    for document in (jwk, {"keys": [jwk]}):
        for text in (json.dumps(document), json.dumps(document, separators=(",", ":")), json.dumps(document, indent=2)):
            assert_no_hmac_secret(key, text.encode())
            assert_no_hmac_secret(key, f" {text}\n".encode())
