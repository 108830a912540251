"""Finds secrets that are a pattern: keys beside each other, letters in order, bytes that count up, repetition."""

from __future__ import annotations

from itertools import pairwise

from server.settings.weak_secrets.spelling import LEAST_BYTES, decoded, repeated_unit

_SHIFTED = str.maketrans("""!@#$%^&*()_+{}:"<>?|~""", """1234567890-=[];',./\\`""")
# English, German and French keyboards.
_ROWS = (
    ("1234567890-=", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./"),
    ("1234567890", "qwertzuiop", "asdfghjkl", "yxcvbnm,.-"),
    ("1234567890", "azertyuiop", "qsdfghjklm", "wxcvbn,;:"),
)
_KEYBOARDS = [
    {key: (2 * column + row, row) for row, keys in enumerate(rows) for column, key in enumerate(keys)} for rows in _ROWS
]
# The share of keys that lie beside the key before them. In random letters it is one in five.
_BESIDE_SHARE = 0.75

# Bytes with at most so many different values, or steps from one to the next, are a pattern. Random digits have more.
_FEW_STEPS = 4
# The share of characters that repeat an earlier one or follow it in the alphabet, with the same distance of one to
# eight places for all. In random digits it is one in four.
_FOLLOWING_SHARE = 0.75
_FOLLOWING_PLACES = 8


def is_pattern(text: str) -> bool:
    """Whether the text is one of the patterns."""
    if len(repeated_unit(text).encode()) < LEAST_BYTES:
        return True
    typed = text.translate(_SHIFTED).lower()
    return (
        any(_is_walk(typed, keyboard) for keyboard in _KEYBOARDS)
        or any(_follows(typed, places) for places in range(1, _FOLLOWING_PLACES + 1))
        or any(_has_few_steps(raw) for raw in decoded(text))
    )


def _is_walk(typed: str, keyboard: dict[str, tuple[int, int]]) -> bool:
    keys = [keyboard.get(key) for key in typed]
    beside = sum(one is not None and other is not None and _are_beside(one, other) for one, other in pairwise(keys))
    return beside >= _BESIDE_SHARE * (len(keys) - 1)


def _are_beside(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return abs(one[1] - other[1]) <= 1 and abs(one[0] - other[0]) <= 2


def _follows(typed: str, places: int) -> bool:
    steps = [abs(ord(other) - ord(one)) <= 1 for one, other in zip(typed, typed[places:], strict=False)]
    return sum(steps) >= _FOLLOWING_SHARE * len(steps)


def _has_few_steps(raw: bytes) -> bool:
    steps = {(other - one) % 256 for one, other in pairwise(raw)}
    return len(raw) >= LEAST_BYTES and min(len(steps), len(set(raw))) <= _FEW_STEPS
