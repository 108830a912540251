"""Malleable encodings: a good token has one spelling, since whoever remembers or revokes a token may do so by its text.

The one exception is not an encoding: an ECDSA signature has a twin, see test_rfc7518.py.
"""

from __future__ import annotations

import string
import urllib.parse

import pytest

from tests.forging import ALGORITHMS, base64url, claims_with, forge, header_of, signature, signing_key, verifier_of
from tests.security.hostile import GOOD, HEADER, KEY, PAYLOAD, VERIFIER, assert_refused, assert_taken, signed

ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"


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
    assert_taken(signed(header, payload))
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


def test_the_padding_that_would_be_right_is_refused() -> None:
    """RFC 7515 section 2: `=` to a length of four, which PyJWT lets pass."""
    for algorithm in ALGORITHMS:
        key = signing_key(algorithm)
        header, payload, last = forge(key, header_of(key), claims_with()).split(".")
        assert_taken(f"{header}.{payload}.{last}", verifier_of(key))
        assert_refused(f"{header}.{payload}.{padded(last)}", verifier_of(key))
    header, payload = (
        base64url((HEADER + " " * (4 - len(HEADER) % 3)).encode()),
        base64url((PAYLOAD + " " * (4 - len(PAYLOAD) % 3)).encode()),
    )
    assert_taken(signed(header, payload))
    assert_refused(signed(padded(header), payload))
    assert_refused(signed(header, padded(payload)))


def padded(text: str) -> str:
    filled = text + "=" * (-len(text) % 4)
    assert filled != text
    return filled


def test_the_other_alphabet_of_base64_is_refused() -> None:
    """RFC 7515 section 2: base64url alone."""
    payload = base64url((PAYLOAD[:-1] + ',"x":"???>>>\u00ff\u00fe~~~"}').encode())
    assert "_" in payload
    assert_taken(signed(base64url(HEADER.encode()), payload))
    other = payload.replace("_", "/").replace("-", "+")
    assert_refused(signed(base64url(HEADER.encode()), other))


@pytest.mark.parametrize("mark", ["_", "-"])
def test_the_other_alphabet_of_base64_is_refused_in_a_signature(mark: str) -> None:
    """RFC 7515 section 2: the two characters that differ, one by one; signatures are made until one has it."""
    header, payload = base64url(HEADER.encode()), base64url(PAYLOAD.encode())
    body = f"{header}.{payload}"
    made = next(text for _ in range(1000) if mark in (text := base64url(signature("ES256", KEY.material, body))))
    assert_taken(f"{body}.{made}")
    assert_refused(f"{body}.{made.replace(mark, {'_': '/', '-': '+'}[mark])}")


@pytest.mark.parametrize("place", [0, 1, 2, 3, 4])
def test_percent_encoding_makes_no_second_spelling(place: int) -> None:
    """RFC 6750 section 2.1: the token of a header is taken as it is; each part in turn is written in escapes."""
    parts = [*GOOD.partition(".")[:2], *GOOD.partition(".")[2].partition(".")]
    assert "".join(parts) == GOOD
    escaped = "".join(f"%{ord(character):02X}" for character in parts[place])
    once = f"%{ord(parts[place][0]):02x}{parts[place][1:]}"
    for spelt in (escaped, escaped.lower(), once):
        token = "".join([*parts[:place], spelt, *parts[place + 1 :]])
        assert urllib.parse.unquote(token) == GOOD
        assert_refused(token)


def test_characters_that_look_alike_are_others() -> None:
    """RFC 7515 section 2: ASCII, and no form of Unicode that could be folded into it."""
    assert_taken(GOOD)
    for stop in ("\u3002", "\uff0e", "\uff61", "\u2024", "\u06d4", "%2E", "&period;", ":", "/", "\u2027"):
        assert_refused(GOOD.replace(".", stop))
        assert_refused(GOOD.replace(".", stop, 1))
    wide = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})
    for place in (0, len(GOOD) // 2, len(GOOD) - 1):
        assert_refused(GOOD[:place] + GOOD[place].translate(wide) + GOOD[place + 1 :])
    assert_refused(GOOD.translate(wide))
    assert_refused(GOOD.swapcase())


@pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt"])
def test_characters_of_a_type_that_look_alike_are_others(kind: str) -> None:
    """RFC 7515 section 4.1.9: media types are ASCII; case is folded there, and nothing else is."""
    assert_taken(forge(KEY, header_of(KEY, typ=kind), claims_with()), VERIFIER)
    for here, there in (
        ("t", "\uff54"),
        ("T", "\u0442"),
        ("j", "\u0458"),
        ("J", "\u029d"),
        ("a", "\u0430"),
        ("A", "\u0410"),
    ):
        if here in kind:
            assert_refused(forge(KEY, header_of(KEY, typ=kind.replace(here, there)), claims_with()))
    for more in (" ", ";charset=utf-8", "\0", "\n", "/", "+jwt"):
        assert_refused(forge(KEY, header_of(KEY, typ=kind + more), claims_with()))
