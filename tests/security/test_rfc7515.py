"""JSON Web Signature (RFC 7515): its extensions, its other forms, and headers that name keys of their own.

A hostile token is refused, and nothing is done for it outside of the interpreter: no file opened, no connection made.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from server.keys.key_material import public_jwk
from tests.forging import base64url, claims_with, forge, header_of, signature, signing_key
from tests.security.hostile import GOOD, HEADER, KEY, PAYLOAD, VERIFIER, assert_refused, assert_taken, signed
from tests.security.watch import Trap, Watch
from watchword_client.token_checks import MAXIMUM_LENGTH

ATTACKER = signing_key("ES256", 2)
HEADER_SEGMENT, PAYLOAD_SEGMENT, SIGNATURE_SEGMENT = GOOD.split(".")


def assert_refused_in_silence(token: str, watch: Watch) -> None:
    with watch.on() as deeds:
        assert_refused(token)
    assert deeds == []


def test_the_good_token_is_taken_in_silence(watch: Watch) -> None:
    with watch.on() as deeds:
        assert_taken(GOOD)
    assert deeds == []


@pytest.mark.parametrize(
    "critical",
    [
        ["x"], ["exp"], ["alg"], ["alg", "kid", "typ"], ["b64"], ["crit"], ["x", "x"], ["no-such-member"], [""], [1],
        [None], [["x"]], [{"x": 1}], [], "x", "", {}, {"x": 1}, 1, 0, True, False, None, ["x"] * 200,
    ],
    ids=lambda critical: json.dumps(critical)[:30],
)  # fmt: skip
def test_no_critical_extension_is_known_here(critical: Any, watch: Watch) -> None:
    """RFC 7515 section 4.1.11: an extension that is not understood makes a token invalid; so does a wrong `crit`."""
    for others in ({}, {"x": 1}, {"x": 1, "exp": 1, "b64": True, "no-such-member": None}):
        assert_refused_in_silence(forge(KEY, header_of(KEY) | others | {"crit": critical}, claims_with()), watch)
    assert_refused_in_silence(forge(KEY, {"crit": critical} | header_of(KEY), claims_with()), watch)


@pytest.mark.parametrize("name", ["Crit", "CRIT", "crit ", " crit", "crit\0", "\uff43rit"])
def test_crit_in_another_spelling_is_no_way_around_it(name: str, watch: Watch) -> None:
    """RFC 7515 section 4: names are compared as they are; one that is not ours is refused, whatever it resembles."""
    assert_refused_in_silence(forge(KEY, header_of(KEY) | {name: ["x"], "x": 1}, claims_with()), watch)


@pytest.mark.parametrize("value", [False, True, "false", 0, None, []])
def test_a_payload_is_encoded_and_nobody_says_otherwise(value: Any, watch: Watch) -> None:
    """RFC 7797: `b64` is not supported, in either value, whether it is called critical or not."""
    for crit in ({}, {"crit": ["b64"]}):
        header = json.dumps(header_of(KEY) | {"b64": value} | crit).encode()
        # The same bytes are signed, if the payload is read as it stands and if it is decoded.
        assert_refused_in_silence(forge(KEY, header, PAYLOAD.encode()), watch)
        # The payload itself, unencoded.
        assert_refused_in_silence(signed(base64url(header), PAYLOAD), watch)
        assert_refused_in_silence(signed(base64url(header), "plain"), watch)
        # And detached.
        made = base64url(signature("ES256", KEY.material, f"{base64url(header)}.{PAYLOAD}"))
        assert_refused_in_silence(f"{base64url(header)}..{made}", watch)


def test_an_unencoded_payload_without_b64_is_refused(watch: Watch) -> None:
    """RFC 7797 section 3: what is signed as it stands is no base64url, or not the JSON of any claims."""
    for payload in (PAYLOAD, "plain", "0", "null", "{}", "sub-lak_admin"):
        assert_refused_in_silence(signed(HEADER_SEGMENT, payload), watch)


@pytest.mark.parametrize(
    "form",
    ["h..s", "h.s", ".p.s", "h.p.", "h.p", "..s", "h", "..", "", "h..s.p", "h.p.s.", ".h.p.s", "h..p.s", "h.p.s.s",
     "h.p.h.p.s", "h.p.s.h.p.s", "h.p.s,h.p.s", "h.p.s h.p.s", "h.p.s~", "h.p.s~h~", "h:p:s", "h p s", "hps", "s.p.h",
     "p.h.s"],
)  # fmt: skip
def test_a_token_has_three_segments_and_its_payload_inside(form: str, watch: Watch) -> None:
    """RFC 7515 section 7.1 and appendix F: no detached payload, no empty segment, none too many."""
    segments = {"h": HEADER_SEGMENT, "p": PAYLOAD_SEGMENT, "s": SIGNATURE_SEGMENT}
    assert_refused_in_silence("".join(segments.get(letter, letter) for letter in form), watch)
    assert_refused_in_silence(signed(HEADER_SEGMENT, ""), watch)


def serializations() -> dict[str, str]:
    """The good token in JSON (RFC 7515 section 7.2), as a whole and in variants that readers are known to mix up."""
    flat = {"payload": PAYLOAD_SEGMENT, "protected": HEADER_SEGMENT, "signature": SIGNATURE_SEGMENT}
    one = {"protected": HEADER_SEGMENT, "signature": SIGNATURE_SEGMENT}
    general = {"payload": PAYLOAD_SEGMENT, "signatures": [one]}
    loose = base64url(signature("ES256", KEY.material, f".{PAYLOAD_SEGMENT}"))
    found = {
        "flattened": flat,
        "general": general,
        "two signatures": general | {"signatures": [one, {"header": header_of(ATTACKER), "signature": "AAAA"}]},
        "no signatures": general | {"signatures": []},
        "unprotected header beside": flat | {"header": {"jku": "https://attacker.example"}},
        "unprotected header alone": {"payload": PAYLOAD_SEGMENT, "header": header_of(KEY), "signature": loose},
        "flattened and general": flat | general,
        "compact inside": {GOOD: "", **flat},
        "other claims between the dots": {f"{HEADER_SEGMENT}.{base64url(b'{}')}.": "", **flat},
    }
    return {name: json.dumps(value, separators=(",", ":")) for name, value in found.items()}


@pytest.mark.parametrize("name", serializations())
def test_the_json_serialization_is_no_token(name: str, watch: Watch) -> None:
    """RFC 7519 section 3: a JWT has the compact form alone, however right the signature in the other forms is."""
    text = serializations()[name]
    assert len(text) <= MAXIMUM_LENGTH
    segment = base64url(text.encode())
    for token in (text, f" {text}", segment, f"{segment}..", signed(HEADER_SEGMENT, text)):
        assert_refused_in_silence(token, watch)
    # Nor as the claims of a compact token.
    assert_refused_in_silence(forge(KEY, header_of(KEY), text.encode()), watch)


def certificate() -> bytes:
    """The attacker's key in a certificate that it signed itself, in the name of the issuer."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "auth.example")])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=ATTACKER.material.public_key(),
        serial_number=1,
        not_valid_before=datetime(2026, 1, 1, tzinfo=UTC),
        not_valid_after=datetime(2036, 1, 1, tzinfo=UTC),
    )
    return builder.sign(ATTACKER.material, SHA256()).public_bytes(Encoding.DER)


def headers_that_bring_a_key(trap: Trap) -> list[dict[str, Any]]:
    """Each way in which a header can name or bring the key of its own signature (RFC 7515 section 4.1)."""
    der = certificate()
    jwk = public_jwk(ATTACKER.material, "ES256")
    return [
        {"jku": trap.url()},
        {"jku": trap.url(scheme="https")},
        {"jku": f"http://localhost:{trap.port}/jwks.json"},
        {"jku": "file:///etc/passwd"},
        {"jku": "data:application/json," + json.dumps({"keys": [jwk]})},
        {"jku": "/etc/passwd"},
        {"x5u": trap.url("/certificate.pem")},
        {"x5u": "file:///etc/ssl/certs/ca-certificates.crt"},
        {"jwk": jwk},
        {"jwk": jwk | {"kid": KEY.kid}},
        {"jwk": {"kty": "oct", "k": ""}},
        {"x5c": [base64.b64encode(der).decode()]},
        {"x5t": base64url(hashlib.sha1(der).digest())},  # noqa: S324 - what the member holds, by its definition
        {"x5t#S256": base64url(hashlib.sha256(der).digest())},
        {"jku": trap.url(), "x5u": trap.url(), "jwk": jwk, "x5c": [base64.b64encode(der).decode()]},
    ]


def test_no_key_is_taken_from_a_header_and_none_is_fetched(watch: Watch, trap: Trap) -> None:
    """RFC 7515 sections 4.1.2 to 4.1.8, RFC 8725 section 3.10: `jku`, `jwk`, `x5u`, `x5c`, `x5t`."""
    for member in headers_that_bring_a_key(trap):
        for header in (header_of(KEY), header_of(ATTACKER), header_of(ATTACKER, kid=None)):
            assert_refused_in_silence(forge(ATTACKER, header | member, claims_with()), watch)
        # Not even when one of our own keys has signed it.
        assert_refused_in_silence(forge(KEY, header_of(KEY) | member, claims_with()), watch)
    assert trap.visitors() == 0


@pytest.mark.parametrize("name", ["jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "cty", "zip", "enc", "epk", "url"])
@pytest.mark.parametrize("value", [None, "", 0, False, [], {}, "x"])
def test_such_a_member_is_refused_whatever_it_holds(name: str, value: Any, watch: Watch) -> None:
    """RFC 7515 section 4.1: also one that says nothing, as readers differ in what nothing is."""
    assert_refused_in_silence(forge(KEY, header_of(KEY) | {name: value}, claims_with()), watch)


def kids(trap: Trap) -> list[str]:
    paths = ["../../../../dev/null", "/dev/null", "/etc/passwd", "C:\\Windows\\win.ini", f"\\\\{trap.host}\\share\\key"]
    addresses = [
        trap.url(),
        trap.url(scheme="ftp"),
        "file:///dev/null",
        "ldap://127.0.0.1/x",
        "${jndi:ldap://127.0.0.1/x}",
    ]
    queries = [
        "' OR '1'='1",
        "' UNION SELECT 'x' --",
        "x'; DROP TABLE signing_keys; --",
        "*)(uid=*))(|(uid=*",
        '{"$ne": 0}',
    ]
    commands = ["; touch x", "$(touch x)", "`touch x`", "| touch x", "|/usr/bin/touch x", "%0atouch x", "-x"]
    patterns = ["*", "?", ".*", "%", "_", "%s%n%x", "{0.__class__}", "__class__", "__proto__", "constructor"]
    characters = [" ", "\0", "\0" * 50, "\n", "\r\nX-Evil: 1", "\ud800", "\U0010ffff", "\u202e", "k" * 2500]
    return [*paths, *addresses, *queries, *commands, *patterns, *characters]


def test_a_kid_is_compared_and_never_used(watch: Watch, trap: Trap) -> None:
    """RFC 7515 section 4.1.4, RFC 8725 section 3.10: no path, URL, query, command or pattern."""
    for kid in kids(trap):
        for signer in (KEY, ATTACKER):
            assert_refused_in_silence(forge(signer, header_of(KEY, kid=kid), claims_with()), watch)
        if len(kid) < 100:
            assert_refused_in_silence(forge(KEY, header_of(KEY, kid=kid + KEY.kid), claims_with()), watch)
    assert trap.visitors() == 0


def test_a_kid_is_compared_whole_and_by_case(watch: Watch) -> None:
    """RFC 7515 section 4.1.4: a case-sensitive text."""
    kid = KEY.kid
    for changed in ("", kid.lower(), kid.upper(), kid.swapcase(), kid[:-1], kid[1:], kid[::-1], kid + "=", kid + kid):
        assert changed != kid
        assert_refused_in_silence(forge(KEY, header_of(KEY) | {"kid": changed}, claims_with()), watch)


def test_a_kid_in_escapes_is_the_same_kid() -> None:
    """RFC 8259 section 7: what is compared is the text, not its spelling; the other way round, two names are two."""
    escaped = "".join(f"\\u{ord(character):04x}" for character in KEY.kid)
    assert_taken(forge(KEY, HEADER.replace(KEY.kid, escaped).encode(), claims_with()), VERIFIER)
    assert_refused(forge(KEY, HEADER.replace(KEY.kid, escaped.replace("\\", "\\\\")).encode(), claims_with()))
