"""Verifies access tokens. Any other text raises TokenInvalid and no other exception.

PyJWT checks only the signature. This module makes all other checks, because the defaults of PyJWT accept too much: any
`typ`, repeated members, and a missing `exp` (RFC 8725). Each check gives its reason in words, for people who inspect a
token and for the log. Clients get only `token_invalid`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import jwt

from watchword_client.claims import AccessClaims
from watchword_client.encoding import decode_base64url, strict_json
from watchword_client.errors import TokenExpired, TokenInvalid
from watchword_client.keys import VerificationKey

MAXIMUM_LENGTH = 4096
FUTURE_SECONDS = 60
_COMPACT_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_HEADER_MEMBERS = frozenset(("alg", "kid", "typ"))
# RFC 9068 section 4 allows the media type with and without its prefix.
_TYPES = frozenset(("at+jwt", "application/at+jwt"))
_TEXT_CLAIMS = ("sub", "jti", "sid", "role", "username")
# No name or id has these characters. Header fields and stores refuse them.
_NO_TEXT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_TIME_CLAIMS = ("iat", "exp")
# Our tokens do not have this claim, but another issuer with the same key may set it (RFC 7519 section 4.1.5).
_NOT_BEFORE = "nbf"
# Tokens of an older Watchword do not have these.
_SIGN_IN = "auth_time"
_METHODS = "amr"
# This part of PyJWT checks only signatures. The checks of the payload are in this module.
_JWS = jwt.PyJWS(options={"enforce_minimum_key_length": True})


class UnknownKey(TokenInvalid):
    """The token names an unknown key. The source may have published this key since the last fetch."""


class VerificationKeys(Protocol):
    """A source of keys."""

    def verification_key(self, kid: str, now_ms: int) -> VerificationKey | None:
        """The key of that name, if it is accepted at that time (epoch ms)."""
        ...


@dataclass(frozen=True, slots=True)
class Segments:
    """The three parts of a token in compact serialisation (RFC 7515 section 7.1), still encoded."""

    header: str
    payload: str
    signature: str


class TokenChecks:
    """Checks form, key, signature and claims of a token, in this order, without reading keys again."""

    def __init__(self, keys: VerificationKeys, *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    def verify(self, token: str, now_ms: int) -> AccessClaims:
        """The claims of a genuine token that has not expired.

        Raises UnknownKey, TokenInvalid, or TokenExpired; the last only if the signature is right.
        """
        segments = split(token)
        header = read_object(segments.header, "header")
        _refuse_first(header_flaws(header))
        key = self.key_of(header, now_ms)
        check_signature(token, key)
        claims = read_object(segments.payload, "payload")
        now = now_ms // 1000
        _refuse_first(self.claim_flaws(claims, now))
        if claims["exp"] <= now:
            raise TokenExpired
        return AccessClaims.from_jwt(claims)

    def key_of(self, header: dict[str, Any], now_ms: int) -> VerificationKey:
        """The key of a header that has no flaws. Raises UnknownKey, TokenInvalid.

        The key decides the algorithm, and the token has to name the same (RFC 8725 section 3.1).
        """
        key = self._keys.verification_key(header["kid"], now_ms)
        if key is None:
            raise UnknownKey(reason="no key of that `kid` is believed here")
        if header["alg"] != key.algorithm:
            raise TokenInvalid(reason=f"`alg` is not {key.algorithm}, which is the algorithm of the key")
        return key

    def claim_flaws(self, claims: dict[str, Any], now: int) -> Iterator[str]:
        """What is wrong with the claims at that second. Expiry does not count as a flaw."""
        yield from _text_flaws(claims)
        if claims.get("iss") != self._issuer:
            yield f"`iss` is not `{self._issuer}`, the issuer here"
        if claims.get("aud") != self._audience:
            yield f"`aud` is not `{self._audience}`, the audience here"
        yield from _time_flaws(claims, now)
        yield from _sign_in_flaws(claims)


def split(token: str) -> Segments:
    """The three segments. Raises TokenInvalid."""
    if len(token) > MAXIMUM_LENGTH:
        raise TokenInvalid(reason=f"it is longer than {MAXIMUM_LENGTH} characters")
    if not _COMPACT_FORM.fullmatch(token):
        raise TokenInvalid(reason="it is not three parts of base64url with dots between them (RFC 7515 section 7.1)")
    segments = Segments(*token.split("."))
    try:
        decode_base64url(segments.signature)
    except ValueError:
        raise TokenInvalid(reason="the signature is not base64url in its one spelling") from None
    return segments


def read_object(segment: str, name: str) -> dict[str, Any]:
    """A JSON object without repeated members (RFC 7515 section 4, RFC 7519 section 4). Raises TokenInvalid."""
    try:
        raw = decode_base64url(segment)
    except ValueError:
        raise TokenInvalid(reason=f"the {name} is not base64url in its one spelling") from None
    try:
        value = strict_json(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise TokenInvalid(reason=f"the {name} is not JSON in UTF-8, or repeats a member") from None
    if not isinstance(value, dict):
        raise TokenInvalid(reason=f"the {name} is not a JSON object")
    return value


def header_flaws(header: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a header, checked before its key. A header may name only type, key and algorithm."""
    for name in sorted(header.keys() - _HEADER_MEMBERS):
        yield f"the header has {name[:40]!a}, which is not taken here"
    for name in ("alg", "kid", "typ"):
        if not isinstance(header.get(name), str):
            yield f"the header has no `{name}`, or it is not a text"
    kind = header.get("typ")
    if isinstance(kind, str) and kind.lower() not in _TYPES:
        yield "`typ` is not at+jwt: this is another kind of token (RFC 9068 section 2.1)"


def check_signature(token: str, key: VerificationKey) -> None:
    """Raises TokenInvalid unless the key made the signature. This does not check claims."""
    try:
        _JWS.decode(token, key.material, algorithms=[key.algorithm])
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, RecursionError):
        # PyJWT raises TypeError or AttributeError if the key does not fit the algorithm.
        raise TokenInvalid(reason="the signature was not made by that key over this header and payload") from None


def _refuse_first(flaws: Iterator[str]) -> None:
    for flaw in flaws:
        raise TokenInvalid(reason=flaw)


def _text_flaws(claims: dict[str, Any]) -> Iterator[str]:
    for name in _TEXT_CLAIMS:
        value = claims.get(name)
        if not isinstance(value, str) or not value:
            yield f"`{name}` is not there, or not a text"
        elif _NO_TEXT.search(value):
            yield f"`{name}` has control characters, or half a character"


def _time_flaws(claims: dict[str, Any], now: int) -> Iterator[str]:
    # isinstance would accept a bool, which is an int.
    times = {name: claims[name] for name in (*_TIME_CLAIMS, _NOT_BEFORE) if type(claims.get(name)) is int}
    for name in _TIME_CLAIMS:
        if name not in times:
            yield f"`{name}` is not there, or not a whole number of seconds"
    if _NOT_BEFORE in claims and _NOT_BEFORE not in times:
        yield f"`{_NOT_BEFORE}` is not a whole number of seconds"
    for name in sorted(times.keys() - {"exp"}):
        if "exp" in times and times["exp"] <= times[name]:
            yield f"`exp` is not later than `{name}`"
        if times[name] > now + FUTURE_SECONDS:
            yield f"`{name}` is in the future"


def _sign_in_flaws(claims: dict[str, Any]) -> Iterator[str]:
    """A time in the future is no flaw here: the clock of the issuer may have been set right since."""
    if _SIGN_IN in claims and type(claims[_SIGN_IN]) is not int:
        yield f"`{_SIGN_IN}` is not a whole number of seconds"
    if _METHODS in claims:
        methods = claims[_METHODS]
        if not isinstance(methods, list) or not all(isinstance(one, str) and one for one in methods):
            yield f"`{_METHODS}` is not a list of texts"
        elif any(_NO_TEXT.search(one) for one in methods):
            yield f"`{_METHODS}` has control characters, or half a character"
