"""Reduces passwords and names to what attackers try: without case, spaces, signs and accents."""

from __future__ import annotations

import unicodedata

# Letters that Unicode does not decompose; and spellings of letters that many keyboards lack.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe"})
_SPELT_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
# Marks with a lower combining class are vowels, for example. Without them the word would be another one.
_LEAST_CLASS_OF_ACCENTS = 200


def folded(text: str) -> str:
    """The text in lower case and in the Unicode form NFKC."""
    return unicodedata.normalize("NFKC", text).casefold()


def words(text: str) -> list[str]:
    """The parts of the text between spaces and signs."""
    return "".join(map(_letter_or_space, text)).split()


def letters(text: str) -> str:
    """The letters and digits of the text."""
    return "".join(words(text))


def signs_length(text: str) -> int:
    """The number of signs in the text. A row of signs that occurs several times counts once."""
    return sum(map(len, set("".join(map(_sign_or_space, text)).split())))


def spellings(text: str) -> set[str]:
    """A folded text, the same without accents, and the same with ae for ä."""
    return {text, _without_accents(text), _without_accents(text.translate(_SPELT_OUT))}


def _is_letter(character: str) -> bool:
    # Letters, digits, and marks, which are vowels in many scripts.
    return unicodedata.category(character)[0] in "LMN"


def _letter_or_space(character: str) -> str:
    return character if _is_letter(character) else " "


def _sign_or_space(character: str) -> str:
    return " " if _is_letter(character) else character


def _without_accents(text: str) -> str:
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFD", text.translate(_PLAIN))
    return unicodedata.normalize("NFC", "".join(filter(_is_no_accent, apart)))


def _is_no_accent(character: str) -> bool:
    return unicodedata.combining(character) < _LEAST_CLASS_OF_ACCENTS
