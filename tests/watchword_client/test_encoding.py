from __future__ import annotations

import random
from itertools import product

import pytest

from watchword_client.encoding import decode_base64url, encode_base64url, strict_json


def test_what_is_encoded_is_decoded() -> None:
    seed = random.Random(7515)
    for size in range(200):
        data = seed.randbytes(size)
        text = encode_base64url(data)
        assert decode_base64url(text) == data
        assert "=" not in text


def test_the_alphabet_is_the_url_safe_one() -> None:
    """RFC 7515 appendix C."""
    assert encode_base64url(bytes([3, 236, 255, 224, 193])) == "A-z_4ME"
    assert decode_base64url("A-z_4ME") == bytes([3, 236, 255, 224, 193])


def test_each_text_is_the_encoding_of_its_bytes_or_refused() -> None:
    alphabet = "AQgw_-+/= .\n"
    taken = 0
    for size in range(5):
        for characters in product(alphabet, repeat=size):
            text = "".join(characters)
            try:
                data = decode_base64url(text)
            except ValueError:
                continue
            taken += 1
            assert encode_base64url(data) == text
    # Six of these are in the alphabet. In a text of two or three, the last is one of AQgw, or bits would be left over.
    assert taken == 1 + 6 * 4 + 6 * 6 * 4 + 6**4


@pytest.mark.parametrize(
    "text", ["=", "AA==", "AA=", "A", "AAAAA", "AB", "AAB", "A+z/4ME", "AA\n", " AA", "A A", "é", "\ud800", "AA\0"]
)
def test_there_is_no_second_spelling(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_base64url(text)


def test_members_that_come_once_are_read() -> None:
    assert strict_json('{"a": 1, "b": {"a": [{"a": null}, {"a": 1.5}]}}') == {
        "a": 1,
        "b": {"a": [{"a": None}, {"a": 1.5}]},
    }


@pytest.mark.parametrize("text", ['{"a":1,"a":1}', '{"b":[{"a":1,"a":2}]}', r'{"a":1,"\u0061":2}', '{"":1,"":1}'])
def test_repeated_members_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="there twice"):
        strict_json(text)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", '{"a": NaN}', "[1, Infinity]"])
def test_what_python_alone_reads_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not JSON"):
        strict_json(text)
