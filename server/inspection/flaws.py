"""Decodes a token and lists everything that is wrong with it, for people who debug a refused token."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from server.core.clock import rfc3339
from watchword_client.claims import AccessClaims
from watchword_client.encoding import decode_base64url
from watchword_client.errors import TokenExpired, TokenInvalid
from watchword_client.token_checks import (
    MAXIMUM_LENGTH,
    TokenChecks,
    UnknownKey,
    check_signature,
    header_flaws,
    read_object,
)

UNKNOWN_KEY = "no key of that `kid` is believed here"
# Tokens above MAXIMUM_LENGTH characters are refused; up to this length they are still decoded.
_LONGEST_SHOWN = 4 * MAXIMUM_LENGTH
# Values that are nested more deeply are not shown, since writing them could exceed the recursion limit.
_DEEPEST_SHOWN = 32
# How other kinds of token begin, and a JWS in JSON.
_OTHER_KINDS = (
    ("wwr_", "it is a refresh token, which only ever goes to `POST /refresh` and `POST /logout`"),
    ("wwp_", "it is a reset token, with which a user sets a password"),
    ("wwf_", "it is the token of a mailed link, with which a user sets a password"),
    ("wws_", "it is the token of a mailed link, with which a user signs in"),
    ("wwe_", "it is the token of a mailed link, which confirms an address"),
    ("wwi_", "it is an invitation token, with which somebody registers"),
    ("{", "it is JSON; of the two forms of a JWS only the compact one is taken here (RFC 7515 section 7.1)"),
)
_ENCRYPTED = "it has five parts, so it is encrypted (JWE, RFC 7516); only signed tokens are taken here"
_TOO_LONG = f"it is longer than {MAXIMUM_LENGTH} characters"
_NOT_THREE_PARTS = "it is not three parts with dots between them (RFC 7515 section 7.1)"
# In seconds; a year is the mean year of the calendar.
_UNITS = (("year", 31_556_952), ("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
# The years 1 to 9999, which rfc3339 can write, in seconds since the epoch.
_EARLIEST, _LATEST = -62_135_596_800, 253_402_300_799


@dataclass(slots=True)
class Inspection:
    """A decoded token.

    `header` and `claims` can be written as JSON: values that JSON has not are described in words. `kid` is the key that
    the header names, `algorithm` is that of the key. `signature` says whether the signature is valid; None without a
    key. `flaws` says what is wrong, the worst first. A token with flaws is refused, and so is an expired one. `genuine`
    has the claims of a valid token.
    """

    header: dict[str, Any] | None = None
    claims: dict[str, Any] | None = None
    kid: str | None = None
    algorithm: str | None = None
    signature: bool | None = None
    flaws: list[str] = field(default_factory=list)
    expired: bool = False
    genuine: AccessClaims | None = None


def inspect(token: str, checks: TokenChecks, now_ms: int) -> Inspection:
    """Check everything, while TokenChecks stops at the first flaw. No content of a token makes it raise."""
    found = Inspection()
    other = _other_kind(token)
    if other is not None:
        found.flaws.append(other)
        if other == _ENCRYPTED:
            found.header = _shown(_read(Inspection(), token.partition(".")[0], "header"))
        return found
    parts = token.split(".")
    if len(token) > MAXIMUM_LENGTH:
        found.flaws.append(_TOO_LONG)
    header, claims = _read(found, parts[0], "header"), _read(found, parts[1], "payload")
    _check_spelling(found, parts[2])
    if header is not None:
        found.header = _shown(header)
        found.flaws += header_flaws(header)
        _check_signature(found, token, header, checks, now_ms)
    if claims is not None:
        found.claims = _shown(claims)
        found.flaws += checks.claim_flaws(claims, now_ms // 1000)
    if not found.flaws:
        _decide(found, token, checks, now_ms)
    return found


def _decide(found: Inspection, token: str, checks: TokenChecks, now_ms: int) -> None:
    """Add the decision of TokenChecks, which also decides for requests."""
    try:
        found.genuine = checks.verify(token, now_ms)
    except TokenExpired:
        found.expired = True
    except TokenInvalid as error:
        found.flaws.append(error.reason)


def _other_kind(token: str) -> str | None:
    """What the text is, if it is not a token of three parts; None if it is."""
    for beginning, sentence in _OTHER_KINDS:
        if token.startswith(beginning):
            return sentence
    if len(token) > _LONGEST_SHOWN:
        return _TOO_LONG
    dots = token.count(".")
    return None if dots == 2 else _ENCRYPTED if dots == 4 else _NOT_THREE_PARTS


def _read(found: Inspection, segment: str, name: str) -> dict[str, Any] | None:
    if not segment:
        found.flaws.append(f"the {name} is empty")
        return None
    try:
        return read_object(segment, name)
    except TokenInvalid as error:
        found.flaws.append(error.reason)
        return None


def _check_spelling(found: Inspection, signature: str) -> None:
    if not signature:
        found.flaws.append("it has no signature")
        return
    try:
        decode_base64url(signature)
    except ValueError:
        found.flaws.append("the signature is not base64url in its one spelling")


def _check_signature(found: Inspection, token: str, header: dict[str, Any], checks: TokenChecks, now_ms: int) -> None:
    if not isinstance(header.get("kid"), str):
        return
    found.kid = header["kid"]
    if not isinstance(header.get("alg"), str):
        return
    try:
        key = checks.key_of(header, now_ms)
    except UnknownKey:
        found.flaws.append(UNKNOWN_KEY)
        return
    except TokenInvalid as error:
        found.flaws.append(error.reason)
        return
    found.algorithm = key.algorithm
    try:
        check_signature(token, key)
        found.signature = True
    except TokenInvalid as error:
        found.signature = False
        found.flaws.insert(0, error.reason)


def _shown(value: Any, depth: int = 0) -> Any:
    """The value, with words in place of parts that JSON can't hold or some JSON parsers can't read."""
    if isinstance(value, float) and not math.isfinite(value):
        return "(a number that is too large)"
    if isinstance(value, dict | list) and depth > _DEEPEST_SHOWN:
        return "(nested too deeply)"
    if isinstance(value, dict):
        return {name: _shown(member, depth + 1) for name, member in value.items()}
    if isinstance(value, list):
        return [_shown(item, depth + 1) for item in value]
    return value


def times(claims: dict[str, Any], now_ms: int) -> dict[str, tuple[str, str]]:
    """The times among the claims, each as RFC 3339 and in words from now. Claims that are no time are left out."""
    found = {}
    for name in ("iat", "nbf", "exp", "auth_time"):
        value = claims.get(name)
        # A NumericDate may have a fraction (RFC 7519 section 2). Not isinstance: a bool is an int.
        if type(value) in {int, float} and _EARLIEST <= value <= _LATEST:  # type: ignore[operator] # it is a number
            found[name] = (rfc3339(int(value * 1000)), in_words(value - now_ms / 1000))  # type: ignore[operator]
    return found


def in_words(seconds: float) -> str:
    """How far away a moment is, in its two largest units: `in 4 minutes 59 seconds`, `2 days ago`, `now`."""
    left = abs(round(seconds))
    counts = []
    for name, size in _UNITS:
        count, left = divmod(left, size)
        counts.append((count, name))
    first = next((index for index, (count, _) in enumerate(counts) if count), None)
    if first is None:
        return "now"
    text = " ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts[first : first + 2] if count)
    return f"in {text}" if seconds > 0 else f"{text} ago"
