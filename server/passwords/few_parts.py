"""A password as few parts: words, dates, digits and signs, as people put passwords together.

zxcvbn counts as if nobody knew in which order people do so: a word, a sign, a word and a year come to 10^12 guesses,
however common the words are. Here signs and digits cost what they are, and zxcvbn is asked for the words alone. Costs
are powers of ten of guesses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from zxcvbn_rs_py import zxcvbn

from server.passwords.common_words import DATE, SMALL_WORDS, without, without_common
from server.passwords.letters import folded, letters, spellings

# What is longer is not few parts, or says them again (repetition.py); and it would take long to look at.
_LONGEST = 64
_SENTENCE_WORDS = 4
# More changes between letters and digits are not what people put together.
_MOST_RUNS, _MOST_DATES, _FEW_KINDS = 6, 2, 2
_NAME_COST, _WORD_COST, _SMALL_WORD_COST = 3.0, 2.0, 1.0
_DATE_COST, _YEAR_COST, _SEQUENCE_COST, _SPACE_COST = 4.0, 2.0, 2.0, 0.5
# zxcvbn's time grows fast with the length.
_ESTIMATED_LENGTH = 32

# What is on one key, and what is written for a letter.
_UNSHIFTED = str.maketrans("!@#$%^&*()", "1234567890")
_LETTERS_FOR = str.maketrans("43105@$!7", "aeiosasit")
_TO_LAST_LETTER = re.compile(r".*[^\W\d_]", re.DOTALL)

_SEQUENCES = ("01234567890", "09876543210", "00112233445566778899", "99887766554433221100")
_RUNS = re.compile(r"[0-9]+|[^0-9\s]+")

_HOST = re.compile(
    r"https?://|\blocalhost(?![a-z])|\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b|\.(?:com|org|net|edu|gov|info|biz|io|dev|app|local"
    r"|localdomain|internal|intranet|lan|home|co\.uk|de|fr|es|it|nl|pl|pt|ch|at|be|se|eu|uk|us|ru|in|br|jp|cn)(?![a-z])"
)
_HOST_PARTS = re.compile(
    _HOST.pattern + r"|:[0-9]{2,5}\b|\b(?:www|auth|login|sso|accounts?|mail|webmail|smtp|imap|ftp|api|app|web|dev|test"
    r"|staging|admin|portal|vpn|git|wiki|cloud|example|gmail|googlemail|yahoo|hotmail|outlook|icloud|gmx)[0-9]?\b(?=[.:@])"
)


def is_few_parts(text: str, pieces: list[str], least_log10: float) -> bool:
    """Whether it is put together of parts that take fewer guesses than that. `pieces` are names, which cost little."""
    # Digits alone zxcvbn has looked at as a whole; and who writes several words with spaces has a sentence in mind.
    if len(text) > _LONGEST or text.isdigit() or len(_written_apart(text)) >= _SENTENCE_WORDS:
        return False
    return any(_cost(letters(reading), pieces, cost, least_log10) < least_log10 for reading, cost in _readings(text))


def _written_apart(text: str) -> set[str]:
    return {word for word in text.casefold().split() if any(map(str.isalpha, word))}


def _readings(text: str) -> Iterator[tuple[str, float]]:
    """What may be meant, and what its signs and the choice of the reading cost."""
    # What has the fewest accents is the last one.
    *others, plain = sorted(spellings(folded(text)), reverse=True)
    for spelling in (*others, plain):
        yield spelling, _signs_cost(spelling)
    unshifted = plain.translate(_UNSHIFTED)
    with_letters = _TO_LAST_LETTER.sub(lambda found: found[0].translate(_LETTERS_FOR), plain, count=1)
    without_host = _HOST_PARTS.sub(" ", plain) if _HOST.search(plain) else plain
    for other in {unshifted, with_letters, without_host} - {plain}:
        yield other, _signs_cost(other) + 1


def _signs_cost(text: str) -> float:
    """One or two kinds cost as if each stood once, between the words and at the end; spaces cost less."""
    signs = [character for character in text if not character.isalnum() and character != " "]
    kinds = len(set(signs))
    return (kinds if kinds <= _FEW_KINDS else len(signs)) + _SPACE_COST * (" " in text)


def _cost(form: str, pieces: list[str], cost: float, least: float) -> float:
    """Of letters and digits, and `cost`; or any number that is not below the least."""
    nameless = without(form, pieces)
    rest = without_common(nameless)
    cost += _NAME_COST * nameless.count(" ") + _WORD_COST * (rest.count(" ") - nameless.count(" "))
    found = _cost_of_rest(rest, cost, least)
    shorter = without(rest, SMALL_WORDS)
    if shorter == rest or found < least:
        return found
    return _cost_of_rest(shorter, cost + _SMALL_WORD_COST * (shorter.count(" ") - rest.count(" ")), least)


def _cost_of_rest(rest: str, cost: float, least: float) -> float:
    for date in list(DATE.finditer(rest))[:_MOST_DATES]:
        cost += _YEAR_COST if len(date[0]) == len("2026") else _DATE_COST
    runs: list[str] = _RUNS.findall(DATE.sub(" ", rest, count=_MOST_DATES))
    if len(runs) > _MOST_RUNS:
        return least
    cost += _digits_cost("".join(run for run in runs if run[0].isdigit()))
    words = "".join(run for run in runs if not run[0].isdigit())
    cost += max(0, len(words) - _ESTIMATED_LENGTH)
    if words and cost < least:
        cost += zxcvbn(words[:_ESTIMATED_LENGTH]).guesses_log10
    return cost


def _digits_cost(digits: str) -> float:
    sequence = any(digits in one for one in _SEQUENCES)
    repeated = any(digits == (digits[:size] * len(digits))[: len(digits)] for size in range(1, len(digits) // 2 + 1))
    return min(len(digits), _SEQUENCE_COST) if sequence or repeated else len(digits)
