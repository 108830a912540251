"""Secrets that are a pattern: a walk over the keyboard, the order of the alphabet, bytes that count up, repetition."""

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
# Of random letters one in five lies beside the one before it.
_BESIDE_SHARE = 0.75

# Even random digits have more different ones.
_FEW_STEPS = 4
# So many characters follow the one that stands one to eight places before them in the alphabet, or repeat it. Random
# digits do so at one in four places.
_FOLLOWING_SHARE = 0.75
_FOLLOWING_PLACES = 8


def is_pattern(text: str) -> bool:
    """Repeated to its length, a walk over the keyboard, or in the alphabet's order, as bytes that count up."""
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
