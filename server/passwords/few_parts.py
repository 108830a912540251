"""Estimates passwords that are put together of a few parts: words, dates, digits and signs.

zxcvbn assumes that attackers do not know the usual order of parts: it estimates a word, a sign, a word and a year at
10^12 guesses, even if the words are common. Here signs and digits have fixed costs, and zxcvbn estimates only the
words. A cost is the logarithm (base 10) of the guesses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from zxcvbn_rs_py import zxcvbn

from server.passwords.common_words import DATE, SMALL_WORDS, without, without_common
from server.passwords.letters import folded, letters, spellings

# Longer texts are not checked: they have many parts or repeat them (repetition.py), and checking takes long.
_LONGEST = 64
_SENTENCE_WORDS = 4
# People do not put together more runs of letters and digits than this.
_MOST_RUNS, _MOST_DATES, _FEW_KINDS = 6, 2, 2
_NAME_COST, _WORD_COST, _SMALL_WORD_COST = 3.0, 2.0, 1.0
_DATE_COST, _YEAR_COST, _SEQUENCE_COST, _SPACE_COST = 4.0, 2.0, 2.0, 0.5
# zxcvbn's time grows fast with the length.
_ESTIMATED_LENGTH = 32

# Signs and the digits on the same key; digits and signs that stand for letters.
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
    """Whether the parts of a text take fewer guesses than 10^`least_log10`. `pieces` are names, which cost little."""
    # zxcvbn has estimated digits already. Several words with spaces are a sentence.
    if len(text) > _LONGEST or text.isdigit() or len(_written_apart(text)) >= _SENTENCE_WORDS:
        return False
    return any(_cost(letters(reading), pieces, cost, least_log10) < least_log10 for reading, cost in _readings(text))


def _written_apart(text: str) -> set[str]:
    return {word for word in text.casefold().split() if any(map(str.isalpha, word))}


def _readings(text: str) -> Iterator[tuple[str, float]]:
    """Readings of a text, each with the cost of its signs and of the choice of this reading."""
    # The spelling with the fewest accents is the last one.
    *others, plain = sorted(spellings(folded(text)), reverse=True)
    for spelling in (*others, plain):
        yield spelling, _signs_cost(spelling)
    unshifted = plain.translate(_UNSHIFTED)
    with_letters = _TO_LAST_LETTER.sub(lambda found: found[0].translate(_LETTERS_FOR), plain, count=1)
    without_host = _HOST_PARTS.sub(" ", plain) if _HOST.search(plain) else plain
    for other in {unshifted, with_letters, without_host} - {plain}:
        yield other, _signs_cost(other) + 1


def _signs_cost(text: str) -> float:
    """The cost of the signs. One or two kinds of sign cost as if each stood once; spaces cost less."""
    signs = [character for character in text if not character.isalnum() and character != " "]
    kinds = len(set(signs))
    return (kinds if kinds <= _FEW_KINDS else len(signs)) + _SPACE_COST * (" " in text)


def _cost(form: str, pieces: list[str], cost: float, least: float) -> float:
    """The cost of letters and digits plus `cost`. It may stop early, with any number that is not below `least`."""
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
