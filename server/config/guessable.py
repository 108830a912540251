"""What makes a secret guessable though it is long: it was published, says something, or is a pattern.

Made for people who copy a secret from an example, or type one. What was drawn at random is not refused, in whatever
form it is written; the odds are told where they are not plain. All of it works offline.
"""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib.resources import files
from itertools import pairwise

from zxcvbn_rs_py import zxcvbn

# Powers of ten of guesses, as zxcvbn estimates them. It stops at 2^64, which 32 random characters reach, and is given
# no more than it looks at.
_MINIMUM_GUESSES_LOG10 = 19.0
_ESTIMATED_LENGTH = 72

# known_secrets.bin: sorted, the first bytes of the SHA-256 of each. They are made of the list jwt.secrets.list of
# https://github.com/wallarm/jwt-secrets (MIT licence, commit 99e2360) and of _MORE, by `packed`.
_DIGEST_BYTES = 8
# Shorter ones are words, or come to 32 bytes only if they are said several times.
_LEAST_KNOWN = 16
_MORE = (
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
    "SecretKey012345678901234567890123456789012345678901234567890123456789",
)

# letters.bin: for each two letters, or none, and each letter that may follow, how much more often it does so in writing
# than at random, in eighths of a bit, with 128 for as often. Counted in messages of free software in twelve languages
# of Latin script, in common passwords, and in the words of placeholders. A random text reaches n bits with a
# probability of at most 2^-n, whatever its length, since each row is a distribution. For 32 random letters it is below
# 10^-9: they come to -40 bits, and a sentence of 32 to +40.
_LANGUAGE_BITS = 24
_HEXADECIMAL = re.compile(r"(?:0x)?[0-9a-f:\s-]+", re.IGNORECASE)

# What is written for a letter. Two ways, since a 1 may be an i or an l.
_LEET = (str.maketrans("0134578@$!|+", "oieastbasiit"), str.maketrans("0134578@$!|+", "oleastbaslit"))

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

_SHIFTED = str.maketrans("""!@#$%^&*()_+{}:"<>?|~""", """1234567890-=[];',./\\`""")
_ROWS = ("1234567890-=", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./")
_KEYS = {key: (2 * column + row, row) for row, keys in enumerate(_ROWS) for column, key in enumerate(keys)}
# Of random letters one in five lies beside the one before it.
_BESIDE_SHARE = 0.75

# Even random digits have more different ones.
_FEW_STEPS = 4

_ENCODED_DEEP = 3
_PUBLISHED = "it is one of those that are published, in examples and elsewhere"
_LANGUAGE = "it reads like words, or like a placeholder"
_PATTERN = "it is a pattern"


def reason_to_guess(text: str) -> str | None:
    """Why somebody would guess it, in words; None if there is no reason. It has 32 bytes or more."""
    # Bytes of the environment that are not UTF-8 arrive as half characters.
    whole = text.encode("utf-8", "replace").decode()
    reason = plain_reason(whole)
    if reason is None and zxcvbn(whole[:_ESTIMATED_LENGTH]).guesses_log10 < _MINIMUM_GUESSES_LOG10:
        return _PATTERN
    return reason


def plain_reason(text: str) -> str | None:
    """The same without the estimate of zxcvbn, which takes ten times as long."""
    for said in _said(text):
        if any(_is_listed(digest) for digest in _digests(said)):
            return _PUBLISHED
        if _is_language(said):
            return _LANGUAGE
        if _is_pattern(said):
            return _PATTERN
    return None


def packed(secrets: Iterable[str]) -> bytes:
    """What known_secrets.bin is for a list of secrets."""
    digests = {digest for secret in (*secrets, *_MORE) for digest in _digests(secret)}
    return b"".join(sorted(digests))


def _said(text: str, depth: int = 0) -> Iterator[str]:
    """The text, once if it repeats itself, and what it is the hexadecimal or base64 of, if that is text too."""
    text = text.strip()
    yield text
    unit = _unit(text)
    if unit != text:
        yield unit
    for raw in _decoded(text) if depth < _ENCODED_DEEP else ():
        # Random bytes are as good as never text: 24 of them less than once in 10^7, and then it says nothing.
        with suppress(UnicodeDecodeError):
            inner = raw.decode().strip()
            if inner.isprintable():
                yield from _said(inner, depth + 1)


def _decoded(text: str) -> Iterator[bytes]:
    if _HEXADECIMAL.fullmatch(text):
        digits = re.sub(r"[:\s-]", "", text.lower().removeprefix("0x"))
        yield bytes.fromhex(digits[: len(digits) // 2 * 2])
    compact = re.sub(r"\s", "", text.removeprefix("base64:")).translate(str.maketrans("-_", "+/")).rstrip("=")
    # What is cut off in the middle of a byte lacks that one alone.
    whole = compact[: len(compact) - (len(compact) % 4 == 1)]
    try:
        yield base64.b64decode(whole + "=" * (-len(whole) % 4), validate=True)
    except ValueError:
        return


def _unit(text: str) -> str:
    """The beginning that it repeats, also if the last time is cut off; all of it if it repeats none."""
    start = (text + text).find(text[: (len(text) + 1) // 2], 1)
    while 0 < start <= len(text) // 2:
        if text[start:] == text[:-start]:
            return text[:start]
        start = text.find(text[: (len(text) + 1) // 2], start + 1)
    return text


def _plain(text: str) -> str:
    """In lower case, without accents."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text).casefold()
    return "".join(character for character in apart if not unicodedata.combining(character))


def _digests(text: str) -> set[bytes]:
    """Of its spellings: case, separators, leet, and digits at its ends make no difference."""
    plain = _plain(text)
    bare = re.sub(r"[\W_]", "", plain)
    spelt = {bare, bare.strip("0123456789"), plain.translate(_LEET[0])}
    forms = {re.sub(r"[\W_]", "", form.translate(_LEET[0])).replace("l", "i") for form in spelt}
    return {hashlib.sha256(form.encode()).digest()[:_DIGEST_BYTES] for form in forms if len(form) >= _LEAST_KNOWN}


def _is_listed(digest: bytes) -> bool:
    table = _data("known_secrets.bin")
    places = range(len(table) // _DIGEST_BYTES)

    def at(place: int) -> bytes:
        return table[place * _DIGEST_BYTES : (place + 1) * _DIGEST_BYTES]

    place = bisect_left(places, digest, key=at)
    return place < len(places) and at(place) == digest


def _is_language(text: str) -> bool:
    plain = _plain(text)
    if 2 * sum(letter.isalpha() and not letter.isascii() for letter in plain) > len(plain):
        # No generator of secrets makes other scripts.
        return True
    if _HEXADECIMAL.fullmatch(plain):
        return False
    return any(_says_something(form) for form in {plain, *(plain.translate(leet) for leet in _LEET)})


def _says_something(plain: str) -> bool:
    letters = re.sub("[^a-z]+", "", plain)
    if len(plain) - sum(map(len, _PLACEHOLDER.findall(letters))) < _LEAST_ELSE:
        return True
    # The words are told apart by signs, or not at all.
    return any(_eighths(form) >= 8 * _LANGUAGE_BITS for form in (plain, letters))


def _eighths(plain: str) -> int:
    table = _data("letters.bin")
    places = [code - 96 if 96 < code < 123 else 0 for code in plain.encode("ascii", "replace")]
    steps = zip([0, 0, *places], [0, *places], places, strict=False)
    return sum(table[(first * 27 + second) * 27 + third] - 128 for first, second, third in steps)


def _is_pattern(text: str) -> bool:
    """Repeated to its length, a walk over the keyboard, or steps of one size, as bytes that are counted up."""
    if len(_unit(text).encode()) < _LEAST_KNOWN:
        return True
    keys = [_KEYS.get(key) for key in text.translate(_SHIFTED).lower()]
    beside = sum(one is not None and other is not None and _are_beside(one, other) for one, other in pairwise(keys))
    if beside >= _BESIDE_SHARE * (len(keys) - 1):
        return True
    return any(_has_few_steps(raw) for raw in _decoded(text))


def _are_beside(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return abs(one[1] - other[1]) <= 1 and abs(one[0] - other[0]) <= 2


def _has_few_steps(raw: bytes) -> bool:
    steps = {(other - one) % 256 for one, other in pairwise(raw)}
    return len(raw) >= _LEAST_KNOWN and min(len(steps), len(set(raw))) <= _FEW_STEPS


@cache
def _data(name: str) -> bytes:
    return files("server.config").joinpath(name).read_bytes()
