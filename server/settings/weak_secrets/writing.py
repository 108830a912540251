"""Secrets that say something: words of a language, in any spelling, and placeholders."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from server.settings.weak_secrets.spelling import HEXADECIMAL, LEET, plain_text

# letters.bin: for each two letters, or none, and each letter that may follow, how much more often it does so in writing
# than at random, in eighths of a bit, with 128 for as often. Counted in messages of free software in twelve languages
# of Latin script, in common passwords, and in the words of placeholders. A random text reaches n bits with a
# probability of at most 2^-n, whatever its length, since each row is a distribution. For 32 random letters it is below
# 10^-9: they come to -40 bits, and a sentence of 32 to +40.
_LANGUAGE_BITS = 24
# Words of a language that was not counted come to less. What is written in small letters and signs between them is
# given less; 32 random letters come to so much less than once in 10^7 times.
_WORDS_BITS = 14
_WORDS = re.compile(r"[a-z]+(?:[-_ .,]+[a-z]+){3,}[\W\d_]*")
# Each letter written as in leet counts less, in eighths of a bit: random digits would be frequent letters.
_LEET_COST = 3

# What placeholders are made of. If fewer other characters are left, it is one. Of 32 random letters so many are in such
# words less than once in 10^9 times.
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
    """Whether it reads like words of a language, or like a placeholder."""
    plain = _DATE.sub("", plain_text(text))
    if 2 * sum(letter.isalpha() and not letter.isascii() for letter in plain) > len(plain):
        # No generator of secrets makes other scripts.
        return True
    if HEXADECIMAL.fullmatch(text):
        return False
    return says_something(plain, 8 * (_WORDS_BITS if _WORDS.fullmatch(plain) else _LANGUAGE_BITS))


def says_something(plain: str, least: int) -> bool:
    """Whether it is a placeholder, or so much like writing, in eighths of a bit."""
    for spelling in (plain, *(plain.translate(leet) for leet in LEET)):
        written = sum(one != other for one, other in zip(plain, spelling, strict=True))
        if _is_placeholder(spelling) or _likeness(spelling) - _LEET_COST * written >= least:
            return True
    return False


def _is_placeholder(plain: str) -> bool:
    return len(plain) - sum(map(len, _PLACEHOLDER.findall(_letters(plain)))) < _LEAST_ELSE


def _likeness(plain: str) -> int:
    """To writing, in eighths of a bit. The words are told apart by signs, or not at all."""
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
