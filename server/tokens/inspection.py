"""What a token says, whether it holds, and everything that is wrong with it: for people who look into one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from server.clock import rfc3339
from server.errors import TokenInvalid
from server.tokens.claims import AccessClaims
from server.tokens.verifier import Segments, Verifier, check_signature, header_flaws, read_object, split

_UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
# What rfc3339 can write, in seconds since the epoch: the years 1 to 9999.
_EARLIEST, _LATEST = -62_135_596_800, 253_402_300_799


@dataclass(slots=True)
class Inspection:
    """A token, taken apart. `signature` is None where it could not be checked: no such key, or no header to name one.

    `flaws` are sentences, the gravest first; a token with flaws is refused. `genuine` are the claims of a token that
    was issued here, even if it has expired since.
    """

    header: dict[str, Any] | None = None
    claims: dict[str, Any] | None = None
    kid: str | None = None
    algorithm: str | None = None
    signature: bool | None = None
    flaws: list[str] = field(default_factory=list)
    expired: bool = False
    genuine: AccessClaims | None = None


def inspect(token: str, verifier: Verifier, now_ms: int) -> Inspection:
    """Look at all of it, where a verifier stops at the first flaw. Never raises for what a token holds."""
    found = Inspection()
    segments = _attempt(found, lambda: split(token))
    if segments is None:
        segments = _readable(token)
    if segments is None:
        return found
    found.header = _attempt(found, lambda: _showable(segments.header, "header"))
    found.claims = _attempt(found, lambda: _showable(segments.payload, "payload"))
    if found.header is not None:
        found.flaws += header_flaws(found.header)
        if isinstance(found.header.get("kid"), str) and isinstance(found.header.get("alg"), str):
            _check_signature(found, token, verifier, now_ms)
    if found.claims is None:
        return found
    now = now_ms // 1000
    found.flaws += verifier.claim_flaws(found.claims, now)
    expires_at = found.claims.get("exp")
    found.expired = type(expires_at) is int and expires_at <= now
    if found.signature and not found.flaws:
        found.genuine = AccessClaims.from_jwt(found.claims)
    return found


def _check_signature(found: Inspection, token: str, verifier: Verifier, now_ms: int) -> None:
    header = found.header or {}
    try:
        key = verifier.key_of(header, now_ms)
    except TokenInvalid as error:
        found.flaws.append(error.reason)
        return
    found.kid, found.algorithm = key.kid, key.algorithm
    try:
        check_signature(token, key)
        found.signature = True
    except TokenInvalid as error:
        found.signature = False
        found.flaws.insert(0, error.reason)


def _attempt(found: Inspection, step: Callable[[], Any]) -> Any:
    try:
        return step()
    except TokenInvalid as error:
        found.flaws.append(error.reason)
        return None


def _showable(segment: str, name: str) -> dict[str, Any]:
    """Nested more deeply than can be written again is not shown."""
    value = read_object(segment, name)
    try:
        json.dumps(value)
    except RecursionError:
        raise TokenInvalid(reason=f"the {name} is nested too deeply") from None
    return value


def _readable(token: str) -> Segments | None:
    """A token that is too long or has a strange signature can still be looked at."""
    parts = token.split(".")
    return Segments(*parts) if len(parts) == 3 and len(token) <= 4 * 4096 else None


def times(claims: dict[str, Any], now_ms: int) -> dict[str, tuple[str, str]]:
    """The times among claims: RFC 3339, and in words from now. What is no time is left out."""
    found = {}
    for name in ("iat", "nbf", "exp"):
        value = claims.get(name)
        if type(value) in {int, float} and _EARLIEST <= value <= _LATEST:  # type: ignore[operator] # it is a number
            found[name] = (rfc3339(int(value * 1000)), in_words(value - now_ms / 1000))  # type: ignore[operator]
    return found


def in_words(seconds: float) -> str:
    """How far away a moment is: `in 4 minutes`, `2 days ago`, `now`."""
    distance = abs(round(seconds))
    for name, size in _UNITS:
        if distance >= size:
            count = distance // size
            text = f"{count} {name}{'s' if count > 1 else ''}"
            rest = distance % size // 60
            if name == "hour" and rest:
                text += f" {rest} minute{'s' if rest > 1 else ''}"
            return f"in {text}" if seconds > 0 else f"{text} ago"
    return "now"
