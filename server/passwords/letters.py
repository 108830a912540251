"""A password and a name as attackers see them: without case, spaces, signs and accents."""

from __future__ import annotations

import unicodedata

# Letters that Unicode does not take apart, and what is written for letters that a keyboard lacks.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe"})
_SPELT_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
# The marks of a lower combining class are vowels and the like: without them it is another word.
_LEAST_CLASS_OF_ACCENTS = 200


def folded(text: str) -> str:
    """In lower case and the Unicode form NFKC."""
    return unicodedata.normalize("NFKC", text).casefold()


def words(text: str) -> list[str]:
    """What stands between its spaces and signs."""
    return "".join(map(_letter_or_space, text)).split()


def letters(text: str) -> str:
    """Its letters and digits."""
    return "".join(words(text))


def signs_length(text: str) -> int:
    """How many signs it has. A row of them counts once, however often it stands between words."""
    return sum(map(len, set("".join(map(_sign_or_space, text)).split())))


def spellings(text: str) -> set[str]:
    """A folded text as it is, without accents, and with ae for ä."""
    return {text, _without_accents(text), _without_accents(text.translate(_SPELT_OUT))}


def _is_letter(character: str) -> bool:
    # Letters, digits, and the marks that many scripts write vowels with.
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
