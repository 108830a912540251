from __future__ import annotations

from collections import Counter
from functools import partial

import pytest

from server.challenges.codes import ALPHABET, LENGTH, new_code, normalised
from server.challenges.digests import ChallengeDigests
from server.challenges.model import Purpose
from server.core.ids import Ids, SystemRandomness
from tests.clock import FakeClock
from tests.records import id_of


class Fixed:
    """Randomness that a test knows."""

    def __init__(self, number: int) -> None:
        self._number = number

    def token_bytes(self, size: int) -> bytes:
        # Ids also takes some for the ids of requests, which are shorter.
        return self._number.to_bytes(16, "big")[-size:]


def code_from(number: int) -> str:
    return new_code(Ids(FakeClock(), Fixed(number)))


def test_no_two_letters_look_alike() -> None:
    assert len(set(ALPHABET)) == len(ALPHABET) == 30
    assert not set(ALPHABET) & set("0O1IlLU")
    assert ALPHABET.isupper()


def test_every_code_is_as_likely_as_the_others() -> None:
    """ASVS 5.0, 6.5.4 asks for 20 bits; these are 39."""
    assert len(ALPHABET) ** LENGTH > 2**39
    assert code_from(0) == "2222-2222"
    assert code_from(29) == "Z222-2222"
    assert code_from(30) == "2322-2222"
    assert code_from(30**8 - 1) == "ZZZZ-ZZZZ"
    assert code_from(30**8) == "2222-2222"
    ids = Ids(FakeClock(), SystemRandomness())
    codes = [new_code(ids) for _ in range(3000)]
    assert len(set(codes)) == len(codes)
    for place in (0, 1, 2, 3, 5, 6, 7, 8):
        seen = Counter(code[place] for code in codes)
        assert set(seen) == set(ALPHABET)
        # 100 of each are expected, and less than 40 or more than 160 are six standard deviations away.
        assert 40 < min(seen.values()) < max(seen.values()) < 160
    assert {code[4] for code in codes} == {"-"}


@pytest.mark.parametrize(
    "typed",
    [
        "2345-ABCD",
        "2345ABCD",
        "2345-abcd",
        " 2345 - aBcD\r\n",
        "2 3 4 5 A B C D",
        "2345\N{NO-BREAK SPACE}ABCD",
        "2345\N{EN DASH}ABCD",
        "2345\N{NON-BREAKING HYPHEN}ABCD",
        "2345\N{SOFT HYPHEN}ABCD",
        "\N{ZERO WIDTH SPACE}2345\N{ZERO WIDTH JOINER}ABCD\N{BYTE ORDER MARK}",
        "２３４５－ＡＢＣＤ",  # noqa: RUF001 - full-width, as some keyboards write it
        "2345\0ABCD",
    ],
)
def test_a_code_is_taken_as_people_type_it(typed: str) -> None:
    assert normalised(typed) == "2345ABCD"


@pytest.mark.parametrize(
    "typed", ["", "2345-ABC", "2345-ABCDE", "2345_ABCD", "2345/ABCD", "DCBA-5432", "\ud800", "2345.ABCD"]
)
def test_anything_else_is_another_code(typed: str) -> None:
    assert normalised(typed) != "2345ABCD"


def test_a_long_text_costs_no_time_and_is_no_code() -> None:
    assert len(normalised("ﷺ" * 1_000_000)) < 10_000
    assert normalised(" " * 100 + "2345-ABCD") == ""


def test_digests_are_bound_to_the_key_the_kind_the_purpose_and_the_challenge() -> None:
    """None of them equals another, so nothing that somebody has is of use in another place."""
    texts = ("2345ABCD", id_of(1), "")
    made = [
        digest
        for key in (b"a" * 32, b"b" * 32)
        for digests in [ChallengeDigests(partial(bytes, key))]
        for text in texts
        for digest in (
            digests.browser(text),
            *(digests.token(purpose, text) for purpose in Purpose),
            *(digests.code(purpose, id_of(n), text) for purpose in Purpose for n in (1, 2)),
        )
    ]
    assert len(set(made)) == len(made) == 2 * len(texts) * 10
    assert {len(digest) for digest in made} == {32}


def test_the_key_may_change_meanwhile() -> None:
    """`keys replace`: what was mailed before is of no use any more."""
    keys = [b"b" * 32, b"a" * 32]
    digests = ChallengeDigests(keys.pop)
    assert digests.browser("x") != digests.browser("x")
