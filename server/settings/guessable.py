"""What makes a secret guessable though it is long: it was published, says something, or is a pattern.

Made for people who copy a secret from an example, or type one. What was drawn at random is not refused, in whatever
form it is written; the odds are told where they are not plain. All of it works offline.
"""

from __future__ import annotations

import base64
import hashlib
import json
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
# What is longer is judged by its beginning. Looking for what repeats takes time by the square of the length.
_JUDGED_LENGTH = 4096

# known_secrets.bin: sorted, the first bytes of the SHA-256 of each. They are made of the list jwt.secrets.list of
# https://github.com/wallarm/jwt-secrets (MIT licence, commit 99e2360) and of _MORE, by `packed`.
_DIGEST_BYTES = 8
# Shorter ones are words, or come to 32 bytes only if they are said several times.
_LEAST_KNOWN = 16
_MORE = (
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
    "SecretKey012345678901234567890123456789012345678901234567890123456789",
    # From tutorials, each in many public repositories.
    "3cfa76ef14937c1c0ea519f8fc057a80fcd04a7420f8e8bcd0a7567c272e007b",
    "5367566B59703373367639792F423F4528482B4D6251655468576D5A71347437",
    "9a4f2c8d3b7a1e6f45c8a0b3f267d8b1d4e6f3c8a9d2b5f8e3a9c8b5f6v8a3d9",
    "Yh2k7QSu4l8CZg5p6X3Pna9L0Miy4D3Bvt0JVr87UcOj69Kqw5R2Nmf4FWs03Hdx",
    "daf66e01593f61a15b857cf433aae03a005812b31234e149036bcc8dee755dbb",
    # From RFC 7515, 7516, 7517 and 7520, from jwt.io, and from documents of cloud and payment services.
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    "FdFYFzERwC2uCBB46pZQi4GG85LujR8obt-KWRBICVQ",
    "GawgguFyGrWKav7AX4VKUg",
    "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
    "GZy6sIZ6wl9NJOKB-jnmVQ",
    "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "sk_test_4eC39HqLyjWDarjtT1zdp7dc",
    "3141592653589793238462643383279502884197",
    "2718281828459045235360287471352662497757",
)
# Their hashes look random, and are in everybody's reach: echo secret | sha256sum.
_HASHED = (
    "", "secret", "password", "test", "admin", "changeme", "change-me", "hello", "hello world", "jwt", "key", "foo",
    "123456", "12345678", "1234567890", "qwerty", "letmein", "default", "example", "watchword", "token", "root", "user",
    "abc", "abc123", "0", "1", "test123", "password123", "admin123", "mysecret", "supersecret", "secretkey",
    "my-secret-key", "your-256-bit-secret", "foobar", "bar", "secret-key",
)  # fmt: skip

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
_HEXADECIMAL = re.compile(r"(?:0x)?[0-9a-f:\s-]+", re.IGNORECASE)

# Letters that Unicode does not take apart.
_ONE_LETTER = str.maketrans("đłøıæœħŧðþ", "dloiaohtdt")
# What is written for a letter. Two ways, since a 1 may be an i or an l. Each counts less than a letter, in eighths of a
# bit: random digits would be frequent letters.
_LEET_COST = 3
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

_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[t ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?:z|[+-]\d\d:?\d\d)?")
# A key in PEM, or its first line alone, a JWT, and what a shell or a template should have replaced.
_ANOTHER_KIND = re.compile(r"-----BEGIN .*|eyJ[\w-]+\.[\w-]+\.[\w-]*|\$[({].*[)}]|\{\{.*\}\}", re.DOTALL)
# In a key in DER: rsaEncryption, id-ecPublicKey (RFC 3279), and id-X25519 to id-Ed448 (RFC 8410) as algorithms.
_KEY_TYPE = re.compile(rb"\*\x86H\x86\xf7\x0d\x01\x01|\*\x86H\xce=\x02\x01|0\x05\x06\x03\+e[n-q]")
# Behind words, or before them, there may be a random part. It is looked for at so many signs from the end.
_RANDOM_PART = re.compile(r"[\w+/=!@#$%^&*()-]{32,}", re.ASCII)
_LEAST_RANDOM = 32
_SIGNS_TRIED = 20

_SHIFTED = str.maketrans("""!@#$%^&*()_+{}:"<>?|~""", """1234567890-=[];',./\\`""")
# English, German and French keyboards.
_ROWS = (
    ("1234567890-=", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./"),
    ("1234567890", "qwertzuiop", "asdfghjkl", "yxcvbnm,.-"),
    ("1234567890", "azertyuiop", "qsdfghjklm", "wxcvbn,;:"),
)
_KEYBOARDS = [
    {key: (2 * column + row, row) for row, keys in enumerate(rows) for column, key in enumerate(keys)} for rows in _ROWS
]
# Of random letters one in five lies beside the one before it.
_BESIDE_SHARE = 0.75

# Even random digits have more different ones.
_FEW_STEPS = 4
# So many characters follow the one that stands one to eight places before them in the alphabet, or repeat it. Random
# digits do so at one in four places.
_FOLLOWING_SHARE = 0.75
_FOLLOWING_PLACES = 8

_ENCODED_DEEP = 3
_PUBLISHED = "it is one of those that are published, in examples and elsewhere"
_LANGUAGE = "it reads like words, or like a placeholder"
_PATTERN = "it is a pattern"
_KIND = "it is a key, a token, JSON or a template, and no secret"


def reason_to_guess(text: str) -> str | None:
    """Why somebody would guess it, in words; None if there is no reason. It has 32 bytes or more."""
    # Bytes of the environment that are not UTF-8 arrive as half characters.
    whole = text[:_JUDGED_LENGTH].encode("utf-8", "replace").decode()
    reason = plain_reason(whole)
    if reason is None and _is_easy(whole):
        return _PATTERN
    return reason


def plain_reason(text: str) -> str | None:
    """The same without the estimate of zxcvbn, which takes ten times as long."""
    for said in _said(text):
        if any(_is_listed(digest) for digest in _digests(said)):
            return _PUBLISHED
        if _is_another_kind(said):
            return _KIND
        if _is_language(said) and not _has_random_part(said):
            return _LANGUAGE
        if _is_pattern(said):
            return _PATTERN
    return None


def packed(secrets: Iterable[str]) -> bytes:
    """What known_secrets.bin is for a list of secrets."""
    digests = {digest for secret in (*secrets, *_MORE, *_hashes()) for digest in _digests(secret)}
    return b"".join(sorted(digests))


def _hashes() -> Iterator[str]:
    for word in _HASHED:
        for said in (word, f"{word}\n"):
            for name in ("md5", "sha1", "sha256", "sha512"):
                raw = hashlib.new(name, said.encode(), usedforsecurity=False).digest()
                yield raw.hex()
                yield base64.b64encode(raw).decode()


def _said(text: str, depth: int = 0) -> Iterator[str]:
    """The text, once if it repeats itself, and what it is the hexadecimal, base64 or base32 of, if that is text too.

    Of a line of an environment file, what is behind its name.
    """
    text = re.sub(r"^[A-Z_]+=(?=.)", "", text.strip()).strip("\"'")
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
    with suppress(ValueError):
        yield base64.b64decode(whole + "=" * (-len(whole) % 4), validate=True)
    with suppress(ValueError):
        yield base64.b32decode(compact + "=" * (-len(compact) % 8), casefold=True)


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
    apart = unicodedata.normalize("NFKD", text).casefold().translate(_ONE_LETTER)
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


def _is_another_kind(text: str) -> bool:
    if _ANOTHER_KIND.fullmatch(text) or any(_KEY_TYPE.search(raw[:40]) for raw in _decoded(text)):
        return True
    try:
        return isinstance(json.loads(text), dict | list) and not _has_random_part(text)
    except (ValueError, RecursionError):
        return False


def _has_random_part(text: str) -> bool:
    """Whether a part of 32 characters or more, between words and signs, would do alone and does not look like words."""
    for run in _RANDOM_PART.findall(text):
        signs = [place for place, character in enumerate(run) if not character.isalnum()]
        parts = {run, *(run[place + 1 :] for place in signs[:_SIGNS_TRIED])}
        parts |= {run[:place] for place in signs[-_SIGNS_TRIED:]}
        if any(_is_random(part) for part in parts if len(part) >= _LEAST_RANDOM):
            return True
    return False


def _is_random(part: str) -> bool:
    plain = _plain(part)
    if not _HEXADECIMAL.fullmatch(plain) and _says_something(plain, 0):
        return False
    return not _is_pattern(part) and not _is_easy(part)


def _is_language(text: str) -> bool:
    plain = _DATE.sub("", _plain(text))
    if 2 * sum(letter.isalpha() and not letter.isascii() for letter in plain) > len(plain):
        # No generator of secrets makes other scripts.
        return True
    if _HEXADECIMAL.fullmatch(text):
        return False
    return _says_something(plain, 8 * (_WORDS_BITS if _WORDS.fullmatch(plain) else _LANGUAGE_BITS))


def _says_something(plain: str, least: int) -> bool:
    """Whether it is a placeholder, or so much like writing, in eighths of a bit."""
    for spelling in (plain, *(plain.translate(leet) for leet in _LEET)):
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
    table = _data("letters.bin")
    places = [code - 96 if 96 < code < 123 else 0 for code in plain.encode("ascii", "replace")]
    steps = zip([0, 0, *places], [0, *places], places, strict=False)
    return sum(table[(first * 27 + second) * 27 + third] - 128 for first, second, third in steps)


def _is_pattern(text: str) -> bool:
    """Repeated to its length, a walk over the keyboard, or in the alphabet's order, as bytes that count up."""
    if len(_unit(text).encode()) < _LEAST_KNOWN:
        return True
    typed = text.translate(_SHIFTED).lower()
    return (
        any(_is_walk(typed, keyboard) for keyboard in _KEYBOARDS)
        or any(_follows(typed, places) for places in range(1, _FOLLOWING_PLACES + 1))
        or any(_has_few_steps(raw) for raw in _decoded(text))
    )


def _is_walk(typed: str, keyboard: dict[str, tuple[int, int]]) -> bool:
    keys = [keyboard.get(key) for key in typed]
    beside = sum(one is not None and other is not None and _are_beside(one, other) for one, other in pairwise(keys))
    return beside >= _BESIDE_SHARE * (len(keys) - 1)


def _are_beside(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return abs(one[1] - other[1]) <= 1 and abs(one[0] - other[0]) <= 2


def _follows(typed: str, places: int) -> bool:
    steps = [abs(ord(other) - ord(one)) <= 1 for one, other in zip(typed, typed[places:], strict=False)]
    return sum(steps) >= _FOLLOWING_SHARE * len(steps)


def _has_few_steps(raw: bytes) -> bool:
    steps = {(other - one) % 256 for one, other in pairwise(raw)}
    return len(raw) >= _LEAST_KNOWN and min(len(steps), len(set(raw))) <= _FEW_STEPS


def _is_easy(text: str) -> bool:
    return zxcvbn(text[:_ESTIMATED_LENGTH]).guesses_log10 < _MINIMUM_GUESSES_LOG10


@cache
def _data(name: str) -> bytes:
    return files("server.settings").joinpath(name).read_bytes()
