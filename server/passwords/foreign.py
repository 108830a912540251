"""Password hashes of other systems: their kinds, their greatest cost, and how they are checked.

`users import` brings them in, and the first login of a user replaces the hash. The password is compared as it was
typed, in UTF-8, since other systems do not normalise passwords. (Checking the normalised form too would cost a second
hash, and only for users who exist.) libpass checks most kinds, argon2-cffi checks Argon2, and hashlib checks Django's
scrypt, which no library has. Firebase's variant is in firebase.py.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from re import Match

from passlib.hash import (
    bcrypt,
    bcrypt_sha256,
    django_bcrypt_sha256,
    django_pbkdf2_sha1,
    django_pbkdf2_sha256,
    pbkdf2_sha1,
    pbkdf2_sha256,
    pbkdf2_sha512,
    scrypt,
)

from server.passwords import argon2, firebase
from server.passwords.encoding import BASE64, decoded

# The greatest costs of a hash: each takes a few seconds on one core.
MAXIMUM_BCRYPT_COST = 16
MAXIMUM_OWN_COST = 17  # as much as passwords.bcrypt_cost can be, so that what was exported can come back
MAXIMUM_PBKDF2_ITERATIONS = 5_000_000
MAXIMUM_MEMORY_BYTES = 256 * 1024 * 1024
# Argon2: KiB of memory times passes. scrypt: N times r times p.
MAXIMUM_ARGON2_WORK = 4 * 1024 * 1024
MAXIMUM_SCRYPT_WORK = 1 << 23
# In characters; no real hash is longer.
MAXIMUM_LENGTH = 1024
DAMAGED = "the password hash is of no known kind, or damaged"

_BCRYPT_BYTES = 72
# The groups of the patterns below that determine the cost of a hash.
_COSTS = {"cost", "name", "rounds", "type", "m", "t", "ln", "n", "r", "p"}
# Each with the length of its hash, by which a truncated hash is found.
_PBKDF2 = {
    "$pbkdf2": (pbkdf2_sha1, 27),
    "$pbkdf2-sha256": (pbkdf2_sha256, 43),
    "$pbkdf2-sha512": (pbkdf2_sha512, 86),
    "pbkdf2_sha1": (django_pbkdf2_sha1, 28),
    "pbkdf2_sha256": (django_pbkdf2_sha256, 44),
}


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of hash. `excess` says which cost is too high; `matches` may raise, also for a wrong password."""

    name: str
    pattern: re.Pattern[str]
    excess: Callable[[Match[str]], str | None]
    matches: Callable[[bytes, Match[str]], bool]


def cost_problem(password_hash: str) -> str | None:
    """Why a hash is refused: its kind is unknown, it is damaged, or its cost is too high. None if it is accepted."""
    found = _find(password_hash)
    if found is None:
        return DAMAGED
    kind, parts = found
    return kind.excess(parts)


def kind_of(password_hash: str) -> str | None:
    """A name for all hashes with the same cost as this one; None if it has a `cost_problem`."""
    found = _find(password_hash)
    if found is None or found[0].excess(found[1]) is not None:
        return None
    kind, parts = found
    costs = (f"{name}={value}" for name, value in parts.groupdict().items() if name in _COSTS)
    return " ".join((str(_KINDS.index(kind)), *costs))


def description(password_hash: str) -> str:
    """Kind and cost of a hash for people, such as `bcrypt-sha256 cost=12`, without any part of its salt or digest."""
    found = _find(password_hash)
    if found is None:
        return "unknown or damaged"
    kind, parts = found
    costs = (f"{name}={value}" for name, value in parts.groupdict().items() if name in _COSTS - {"name"})
    return " ".join((kind.name, *costs))


def matches(password: bytes, password_hash: str) -> bool:
    """Whether the password fits the hash, which must have no `cost_problem`. May raise any exception."""
    found = _find(password_hash)
    if found is None:
        raise ValueError("no hash")
    kind, parts = found
    return kind.matches(password, parts)


def _find(password_hash: str) -> tuple[_Kind, Match[str]] | None:
    if len(password_hash) > MAXIMUM_LENGTH:
        return None
    for kind in _KINDS:
        parts = kind.pattern.fullmatch(password_hash)
        if parts is not None:
            return kind, parts
    return None


def _above(what: str, value: int, limit: int) -> str | None:
    return f"the password hash is too costly: {what} {value} is above {limit}" if value > limit else None


def _bcrypt_excess(parts: Match[str]) -> str | None:
    return _above("bcrypt cost", int(parts["cost"]), MAXIMUM_BCRYPT_COST)


def _own_excess(parts: Match[str]) -> str | None:
    return _above("bcrypt cost", int(parts["cost"]), MAXIMUM_OWN_COST)


def _pbkdf2_excess(parts: Match[str]) -> str | None:
    if len(parts["hash"]) != _PBKDF2[parts["name"]][1]:
        return DAMAGED
    return _above("PBKDF2 iterations", int(parts["rounds"]), MAXIMUM_PBKDF2_ITERATIONS)


def _argon2_excess(parts: Match[str]) -> str | None:
    memory, passes, lanes = int(parts["m"]), int(parts["t"]), int(parts["p"])
    if memory < 8 * lanes:
        return DAMAGED
    return _above("Argon2 memory in KiB", memory, MAXIMUM_MEMORY_BYTES // 1024) or _above(
        "Argon2 memory times passes in KiB", memory * passes, MAXIMUM_ARGON2_WORK
    )


def _scrypt_excess(n: int, r: int, p: int) -> str | None:
    return _above("scrypt memory in bytes", 128 * r * (n + p), MAXIMUM_MEMORY_BYTES) or _above(
        "scrypt N times r times p", n * r * p, MAXIMUM_SCRYPT_WORK
    )


def _passlib_scrypt_excess(parts: Match[str]) -> str | None:
    return _scrypt_excess(1 << int(parts["ln"]), int(parts["r"]), int(parts["p"]))


def _django_scrypt_excess(parts: Match[str]) -> str | None:
    n = int(parts["n"])
    if n < 2 or n & (n - 1):
        return DAMAGED
    return _scrypt_excess(n, int(parts["r"]), int(parts["p"]))


def _firebase_excess(parts: Match[str]) -> str | None:
    return _scrypt_excess(1 << int(parts["m"]), int(parts["r"]), 1)


def _bcrypt_matches(password: bytes, parts: Match[str]) -> bool:
    # Cut at 72 bytes, like the libraries that made such hashes.
    return bool(bcrypt.verify(password[:_BCRYPT_BYTES], parts["bcrypt"]))


def _pbkdf2_matches(password: bytes, parts: Match[str]) -> bool:
    return bool(_PBKDF2[parts["name"]][0].verify(password, parts[0]))


def _django_scrypt_matches(password: bytes, parts: Match[str]) -> bool:
    expected = decoded(parts["hash"])
    made = firebase.scrypt(
        password, parts["salt"].encode(), n=int(parts["n"]), r=int(parts["r"]), p=int(parts["p"]), size=len(expected)
    )
    return hmac.compare_digest(made, expected)


def _by(handler: type) -> Callable[[bytes, Match[str]], bool]:
    return lambda password, parts: bool(handler.verify(password, parts[0]))  # type: ignore[attr-defined] # libpass


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.ASCII)


# Numbers have a limited length, since they are converted to int.
_BCRYPT = r"\$2[aby]\$(?P<cost>0[4-9]|[1-9]\d)\$[./A-Za-z0-9]{53}"
_BCRYPT_SHA256 = r"(?P<cost>[4-9]|[1-9]\d)\$[./A-Za-z0-9]{22}\$[./A-Za-z0-9]{31}"
_R_AND_P = r"r=(?P<r>[1-9]\d{0,9}),p=(?P<p>[1-9]\d{0,9})"
_KINDS = (
    # The kind that is made here, and by libpass and passlib.
    _Kind(
        "bcrypt-sha256", _pattern(rf"\$bcrypt-sha256\$v=2,t=2[aby],r={_BCRYPT_SHA256}"), _own_excess, _by(bcrypt_sha256)
    ),
    # Its first version, of passlib 1.6.
    _Kind(
        "bcrypt-sha256 of passlib 1.6",
        _pattern(rf"\$bcrypt-sha256\$2[aby],{_BCRYPT_SHA256}"),
        _bcrypt_excess,
        _by(bcrypt_sha256),
    ),
    # bcrypt, also as Django writes it.
    _Kind("bcrypt", _pattern(rf"(?:bcrypt\$)?(?P<bcrypt>{_BCRYPT})"), _bcrypt_excess, _bcrypt_matches),
    _Kind("bcrypt-sha256 of Django", _pattern(rf"bcrypt_sha256\${_BCRYPT}"), _bcrypt_excess, _by(django_bcrypt_sha256)),
    # Argon2 1.3 (RFC 9106), also as Django writes it.
    _Kind(
        "argon2",
        _pattern(
            r"(?:argon2)?\$argon2(?P<type>id|i|d)\$v=19\$m=(?P<m>[1-9]\d{0,9}),t=(?P<t>[1-9]\d{0,9})"
            rf",p=(?P<p>[1-9]\d{{0,6}})\$(?=.{{11,}}\$.{{6,}})(?P<salt>{BASE64})\$(?P<hash>{BASE64})"
        ),
        _argon2_excess,
        argon2.matches,
    ),
    # PBKDF2, of passlib and of Django.
    _Kind(
        "pbkdf2",
        _pattern(
            r"(?P<name>\$pbkdf2(?:-sha256|-sha512)?)\$(?P<rounds>[1-9]\d{0,9})\$[./A-Za-z0-9]*\$(?P<hash>[./A-Za-z0-9]+)"
        ),
        _pbkdf2_excess,
        _pbkdf2_matches,
    ),
    _Kind(
        "pbkdf2 of Django",
        _pattern(r"(?P<name>pbkdf2_sha(?:1|256))\$(?P<rounds>[1-9]\d{0,9})\$[A-Za-z0-9]+\$(?P<hash>[A-Za-z0-9+/]+=)"),
        _pbkdf2_excess,
        _pbkdf2_matches,
    ),
    # scrypt, of passlib, of Django and of Firebase.
    _Kind(
        "scrypt",
        _pattern(rf"\$scrypt\$ln=(?P<ln>[1-9]|[12]\d|3[01]),{_R_AND_P}\${BASE64}\$[A-Za-z0-9+/]{{43}}"),
        _passlib_scrypt_excess,
        _by(scrypt),
    ),
    _Kind(
        "scrypt of Django",
        _pattern(
            r"scrypt\$(?P<n>[1-9]\d{0,9})\$(?P<salt>[!-#%-~]+)\$(?P<r>[1-9]\d{0,9})\$(?P<p>[1-9]\d{0,9})"
            r"\$(?P<hash>[A-Za-z0-9+/]{22,}={0,2})"
        ),
        _django_scrypt_excess,
        _django_scrypt_matches,
    ),
    _Kind("scrypt of Firebase", firebase.PATTERN, _firebase_excess, firebase.matches),
)
