"""JSON in header and claims (RFC 8259): one encoding, one meaning, or refused.

Claims have to be valid JSON throughout (RFC 7519 section 7.2). What one reader takes and another does not, or takes as
something else, is how a token comes to say two things.
"""

from __future__ import annotations

import json

import pytest

from tests.clock import START_MS
from tests.forging import CLAIMS, NOW, claims_with, forge, header_of
from tests.security.hostile import HEADER, KEY, PAYLOAD, VERIFIER, assert_refused, assert_taken

TEXT_CLAIMS = ("iss", "sub", "aud", "jti", "sid", "role", "username")


def with_more(text: str, more: str) -> bytes:
    """An object with more members, as they are written."""
    return f"{text[:-1]},{more}}}".encode()


def encoded(text: str, coding: str) -> bytes:
    """In another encoding; UTF-7 as it is written where it need not be, as ASCII that reads otherwise."""
    return text.replace("{", "+AHs-").encode() if coding == "utf-7" else text.encode(coding)


@pytest.mark.parametrize(
    "coding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-8-sig", "utf-7", "cp037"]
)
def test_header_and_claims_are_in_utf_8(coding: str) -> None:
    """RFC 8725 section 3.7: no other encoding of Unicode, and no byte order mark."""
    assert encoded(PAYLOAD, coding).decode(coding) == PAYLOAD
    assert_refused(forge(KEY, encoded(HEADER, coding), PAYLOAD.encode()))
    assert_refused(forge(KEY, HEADER.encode(), encoded(PAYLOAD, coding)))


@pytest.mark.parametrize(
    "wrong",
    [
        b"\xff", b"\xc3\x28", b"\xe2\x82", b"\xed\xa0\x80", b"\xed\xa0\xbd\xed\xb2\xa9", b"\xf4\x90\x80\x80", b"\x80",
        # Overlong: a slash, a quotation mark and NUL in more bytes than they need.
        b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xc0\xa2", b"\xc0\x80", b"\xf8\x88\x80\x80\x80",
    ],
)  # fmt: skip
def test_bytes_that_are_not_utf_8_are_refused(wrong: bytes) -> None:
    """RFC 8725 section 3.7, RFC 3629 section 3: nothing is skipped or replaced."""
    assert_refused(forge(KEY, HEADER.encode(), PAYLOAD.encode().replace(b"lak", b"lak" + wrong)))
    assert_refused(forge(KEY, HEADER.encode(), PAYLOAD.encode() + wrong))
    assert_refused(forge(KEY, HEADER.encode().replace(b"at+jwt", b"at+jwt" + wrong), PAYLOAD.encode()))


def escapes_of(name: str) -> list[str]:
    """The name with its first letter, its last or all of them in escapes; in either case."""
    escaped = [f"\\u{ord(character):04x}" for character in name]
    return [
        escaped[0] + name[1:],
        name[:-1] + escaped[-1],
        "".join(escaped),
        "".join(escaped).upper().replace("U", "u"),
    ]


@pytest.mark.parametrize("name", ["alg", "kid", "typ"])
def test_a_header_member_comes_once(name: str) -> None:
    """RFC 7515 section 4: repeated members, which parsers take differently; the same name in escapes too."""
    value = json.dumps(header_of(KEY)[name])
    assert_taken(forge(KEY, HEADER.encode(), claims_with()))
    for spelt in (name, *escapes_of(name)):
        for more in (f'"{spelt}":{value}', f'"{spelt}":"x"', f'"{spelt}":null'):
            assert_refused(forge(KEY, with_more(HEADER, more), claims_with()))
            assert_refused(forge(KEY, f"{{{more},{HEADER[1:]}".encode(), claims_with()))


@pytest.mark.parametrize("name", [*CLAIMS.to_jwt(), "other"])
def test_a_claim_comes_once(name: str) -> None:
    """RFC 7519 section 4: repeated claims, the same or another."""
    value = json.dumps(claims_with(other="x")[name])
    payload = json.dumps(claims_with(other="x"))
    assert VERIFIER.verify(forge(KEY, HEADER.encode(), payload.encode()), START_MS) == CLAIMS
    for spelt in (name, *escapes_of(name)):
        for more in (f'"{spelt}":{value}', f'"{spelt}":"admin"', f'"{spelt}":null'):
            assert_refused(forge(KEY, HEADER.encode(), with_more(payload, more)))
            assert_refused(forge(KEY, HEADER.encode(), f"{{{more},{payload[1:]}".encode()))


@pytest.mark.parametrize("depth", [0, 1, 2, 10, 50])
@pytest.mark.parametrize("spelt", ["y", "\\u0079", "\\u0079 "])
def test_members_come_once_at_any_depth(depth: int, spelt: str) -> None:
    """RFC 8259 section 4: in objects and arrays inside a claim of others too."""
    for left, right in (('{"a":', "}"), ("[", "]"), ('[1,{"b":[', "]}]")):
        inner = f'{{"y":1,"{spelt}":1}}'
        payload = with_more(PAYLOAD, f'"x":{left * depth}{inner}{right * depth}')
        if spelt.endswith(" "):
            # Another name: nothing is repeated.
            assert_taken(forge(KEY, HEADER.encode(), payload))
        else:
            assert_refused(forge(KEY, HEADER.encode(), payload))


@pytest.mark.parametrize(
    "name", ["Role", "ROLE", "role ", " role", "role\0", "r\u043ele", "\uff52ole", "__proto__", ""]
)
def test_a_name_that_looks_alike_is_another_name(name: str) -> None:
    """RFC 7519 section 4: claim names are compared as they are, so another one neither counts nor replaces ours."""
    assert (
        VERIFIER.verify(forge(KEY, HEADER.encode(), json.dumps(claims_with() | {name: "admin"}).encode()), START_MS)
        == CLAIMS
    )
    assert_refused(forge(KEY, header_of(KEY), claims_with(role=None) | {name: "admin"}))
    assert_refused(forge(KEY, header_of(KEY) | {name: "x"}, claims_with()))


@pytest.mark.parametrize(
    "number",
    [
        "NaN", "Infinity", "-Infinity", "1e9", "1e400", "-1e400", "1.0", "1790000900.0", "1790000900.5", "1.7900009e9",
        "1790000900e0", "1790000900E+0", "179000090000e-2", "0x6AB15E04", "0b1", "0o7", "1_790_000_900", "+1790000900",
        "01790000900", "-0", "-1", "0", "1790000900n", "1,790,000,900", ".5", "5.", "1e", "--1", "\u0661\u0662\u0663",
        "\uff11\uff17\uff19", "true", "false", "null", '"1790000900"', '""', "[1790000900]", '{"n":1790000900}',
    ],
)  # fmt: skip
def test_a_time_is_a_whole_number_in_digits(number: str) -> None:
    """RFC 7519 section 2, RFC 8259 section 6: `exp` and `iat` in another notation, or no number of JSON at all."""
    expires = f'"exp": {CLAIMS.expires_at}'
    issued = f'"iat": {CLAIMS.issued_at}'
    assert_taken(forge(KEY, HEADER.encode(), PAYLOAD.replace(expires, f'"exp": {NOW + 901}').encode()))
    assert_refused(forge(KEY, HEADER.encode(), PAYLOAD.replace(expires, f'"exp": {number}').encode()))
    if number not in {"-0", "-1", "0"}:
        assert_refused(forge(KEY, HEADER.encode(), PAYLOAD.replace(issued, f'"iat": {number}').encode()))


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("digits", [19, 20, 39, 310, 1000, 2400])
def test_a_huge_number_is_a_number_and_breaks_nothing(sign: str, digits: int) -> None:
    """RFC 8259 section 6: beyond 64 bits, beyond a float; as a time it is compared like any other."""
    number = sign + "9" * digits
    assert_taken(forge(KEY, HEADER.encode(), with_more(PAYLOAD, f'"x":{number}')))
    for name in ("exp", "iat"):
        value = f'"{name}": {claims_with()[name]}'
        token = forge(KEY, HEADER.encode(), PAYLOAD.replace(value, f'"{name}": {number}').encode())
        if (name, sign) in {("exp", ""), ("iat", "-")}:
            assert_taken(token)
        else:
            assert_refused(token)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_does_not_have_is_refused_wherever_it_stands(value: str) -> None:
    """RFC 8259 section 6, RFC 7519 section 7.2: claims with NaN are no valid JSON, whoever reads that claim."""
    assert_taken(forge(KEY, HEADER.encode(), with_more(PAYLOAD, '"x":1')))
    for more in (f'"x":{value}', f'"x":[{value}]', f'"x":{{"y":{value}}}'):
        assert_refused(forge(KEY, HEADER.encode(), with_more(PAYLOAD, more)))


@pytest.mark.parametrize(
    "form",
    [
        "{@},", "{@}x", "{@}{}", "[{@}]", "{'x':1,@}", "{x:1,@}", "{@,}", "{,@}", '{@,"x"}', '{@,"x":}', '{@ "x":1}',
        "{@",
        '{@,"x":[1,]}', '{@,"x":"\t"}', '{@,"x":"\n"}', '{@,"x":"\\x41"}', '{@,"x":"\\u12"}', '{@,"x":"\\"}', "@",
        '{@,"x":undefined}', '{@,"x":True}', "{@}//", "{@}/**/", "{/**/@}", "#\n{@}", ")]}'\n{@}", "\0{@}", "{@}\0",
        "\f{@}", "\u00a0{@}", "\ufeff{@}", "{@}\u2028", "<!--{@}-->", "{@}\n\n{@}", "", " ", "null", "[]", '"{@}"',
    ],
)  # fmt: skip
def test_what_only_some_readers_take_for_json_is_refused(form: str) -> None:
    """RFC 8259 section 9 lets readers be lenient; here they are not. The members that matter are all there."""
    assert_taken(forge(KEY, "{@}".replace("@", HEADER[1:-1]).encode(), "{@}".replace("@", PAYLOAD[1:-1]).encode()))
    assert_refused(forge(KEY, HEADER.encode(), form.replace("@", PAYLOAD[1:-1]).encode()))
    assert_refused(forge(KEY, form.replace("@", HEADER[1:-1]).encode(), PAYLOAD.encode()))


@pytest.mark.parametrize("space", [" ", "\n", "\r\n", "\t", " \n\t "])
def test_whitespace_between_is_json(space: str) -> None:
    """RFC 8259 section 2: a signer may write it; it is signed like the rest."""
    payload = space + PAYLOAD.replace(", ", f"{space},{space}").replace(": ", f"{space}:{space}") + space
    assert VERIFIER.verify(forge(KEY, (space + HEADER + space).encode(), payload.encode()), START_MS) == CLAIMS


@pytest.mark.parametrize("escape", ["\\ud800", "\\udfff", "\\udc00\\ud800", "lak\\ud83d"])
def test_half_a_character_in_a_claim_that_is_read_is_refused(escape: str) -> None:
    """RFC 8259 section 8.2: an unpaired surrogate is no character; no header, store or log can hold that text."""
    for name in TEXT_CLAIMS:
        payload = PAYLOAD.replace(f'"{name}": {json.dumps(claims_with()[name])}', f'"{name}": "{escape}"')
        assert json.loads(payload)[name] == json.loads(f'"{escape}"')
        assert_refused(forge(KEY, HEADER.encode(), payload.encode()))


@pytest.mark.parametrize("character", ["\0", "\n", "\r\nX-Auth-Role: admin", "\x1b[2J", "\x7f"])
def test_a_control_character_in_a_claim_that_is_read_is_refused(character: str) -> None:
    """RFC 8725 section 3.10: claims are passed on, in headers (RFC 9110 section 5.5), to stores and to logs."""
    for name in TEXT_CLAIMS:
        assert_refused(forge(KEY, header_of(KEY), claims_with(**{name: claims_with()[name] + character})))
