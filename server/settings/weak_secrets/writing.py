"""Finds secrets that are words of a language or placeholders."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from server.settings.weak_secrets.spelling import HEXADECIMAL, LEET, plain_text

# letters.bin says for each pair of letters how much more often each letter follows it in real words than in random
# letters. The unit is an eighth of a bit, and 128 means equally often. It was counted in messages of free software in
# twelve languages of Latin script, in common passwords, and in words of placeholders. The sum over a random text
# reaches n bits with a probability of at most 2^-n, since each row is a distribution. 32 random letters usually have
# -40 bits, and a sentence of 32 letters has +40; the probability that 32 random letters reach this limit is below
# 10^-9.
_LANGUAGE_BITS = 24
# Words of other languages have fewer bits. So there is a lower limit for lower-case words with signs between them. 32
# random letters reach it less than once in 10^7 times.
_WORDS_BITS = 14
_WORDS = re.compile(r"[a-z]+(?:[-_ .,]+[a-z]+){3,}[\W\d_]*")
# In eighths of a bit: each leet letter counts so much less, since random digits would often be frequent letters.
_LEET_COST = 3

# The words of placeholders. A text is a placeholder if fewer than _LEAST_ELSE characters are left without them. This
# happens with 32 random letters less than once in 10^9 times.
_LEAST_ELSE = 20
_PLACEHOLDER = re.compile(
    """
    secret | key | jwt | token | passw?ord | passphrase | change | replace | this | that | with | your | own | example |
    default | super | long | random | string | value | here | please | insecure | secure | unsafe | safe | dev | test |
    local | placeholder | dummy | sample | todo | fixme | insert | generate | some | very | strong | private | public |
    access | refresh | auth | application | app | api | service | server | client | admin | user | login | session |
    sign | production | environment | config | setting | master | hash | salt | cookie | hidden | never | only | must |
    should | least | char(?:acter)?s | bytes | bits? | for | the | not | and | set | put
    """,
    re.VERBOSE,
)

_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[t ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?:z|[+-]\d\d:?\d\d)?")


def is_writing(text: str) -> bool:
    """Whether the text looks like words of a language or like a placeholder."""
    plain = _DATE.sub("", plain_text(text))
    if 2 * sum(letter.isalpha() and not letter.isascii() for letter in plain) > len(plain):
        # Generators of secrets use only Latin letters.
        return True
    if HEXADECIMAL.fullmatch(text):
        return False
    return says_something(plain, 8 * (_WORDS_BITS if _WORDS.fullmatch(plain) else _LANGUAGE_BITS))


def says_something(plain: str, least: int) -> bool:
    """Whether the text is a placeholder, or looks like words by at least `least` eighths of a bit."""
    for spelling in (plain, *(plain.translate(leet) for leet in LEET)):
        written = sum(one != other for one, other in zip(plain, spelling, strict=True))
        if _is_placeholder(spelling) or _likeness(spelling) - _LEET_COST * written >= least:
            return True
    return False


def _is_placeholder(plain: str) -> bool:
    return len(plain) - sum(map(len, _PLACEHOLDER.findall(_letters(plain)))) < _LEAST_ELSE


def _likeness(plain: str) -> int:
    """How much the text looks like words, in eighths of a bit: with its signs or without them, whichever is more."""
    return max(_eighths(plain), _eighths(_letters(plain)))


def _letters(plain: str) -> str:
    return re.sub("[^a-z]+", "", plain)


def _eighths(plain: str) -> int:
    table = _table()
    places = [code - 96 if 96 < code < 123 else 0 for code in plain.encode("ascii", "replace")]
    steps = zip([0, 0, *places], [0, *places], places, strict=False)
    return sum(table[(first * 27 + second) * 27 + third] - 128 for first, second, third in steps)


@cache
def _table() -> bytes:
    return files(__package__).joinpath("letters.bin").read_bytes()
