"""Verifies access tokens. Whatever else comes in is TokenInvalid, never another exception.

PyJWT checks the signature. Everything around it is stated here, since its defaults are loose: it takes any `typ`,
repeated members, and a missing `exp` (RFC 8725; the measured facts are in docs/architecture.md).
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any, Protocol

import jwt

from server.errors import TokenExpired, TokenInvalid
from server.tokens.claims import AccessClaims
from server.tokens.keys import VerificationKey

MAXIMUM_LENGTH = 4096
FUTURE_SECONDS = 60
_COMPACT_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_HEADER_MEMBERS = frozenset(("alg", "kid", "typ"))
# RFC 9068 section 4 takes the media type with and without its prefix.
_TYPES = frozenset(("at+jwt", "application/at+jwt"))
_TEXT_CLAIMS = ("sub", "jti", "sid", "role", "username")
_TIME_CLAIMS = ("iat", "exp")


class UnknownKey(TokenInvalid):
    """The token names a key that is not known here; perhaps it is known elsewhere by now."""


class VerificationKeys(Protocol):
    """Where keys come from."""

    def verification_key(self, kid: str, now_ms: int) -> VerificationKey | None:
        """The key of that name, if it is believed at that time."""
        ...


class Verifier:
    """Checks form, key, signature and claims, in that order."""

    def __init__(self, keys: VerificationKeys, *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    def verify(self, token: str, now_ms: int) -> AccessClaims:
        """The claims of a token that was issued here and has not expired.

        Raises TokenExpired only for a token whose signature is right, UnknownKey, or TokenInvalid.
        """
        if len(token) > MAXIMUM_LENGTH or not _COMPACT_FORM.fullmatch(token):
            raise TokenInvalid
        header_text, payload_text, signature_text = token.split(".")
        header = _object(header_text)
        _decode(signature_text)
        key = self._key(header, now_ms)
        self._check_signature(token, key)
        return self._checked(_object(payload_text), now_ms // 1000)

    def _key(self, header: dict[str, Any], now_ms: int) -> VerificationKey:
        """The key decides the algorithm, the token only agrees (RFC 8725 section 3.1), and asks for nothing else."""
        kid, algorithm, kind = header.get("kid"), header.get("alg"), header.get("typ")
        if header.keys() != _HEADER_MEMBERS or not isinstance(kid, str) or not isinstance(kind, str):
            raise TokenInvalid
        if kind.lower() not in _TYPES:
            raise TokenInvalid
        key = self._keys.verification_key(kid, now_ms)
        if key is None:
            raise UnknownKey
        if algorithm != key.algorithm:
            raise TokenInvalid
        return key

    def _check_signature(self, token: str, key: VerificationKey) -> None:
        # The claims are checked below, by the injected clock; PyJWT has one of its own.
        unchecked: Any = {
            "verify_signature": True,
            "verify_exp": False,
            "verify_nbf": False,
            "verify_iat": False,
            "verify_aud": False,
            "verify_iss": False,
            "verify_sub": False,
            "verify_jti": False,
            "require": [],
            "enforce_minimum_key_length": True,
        }
        try:
            jwt.decode(token, key.material, algorithms=[key.algorithm], options=unchecked)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise TokenInvalid from None

    def _checked(self, claims: dict[str, Any], now: int) -> AccessClaims:
        for name in _TEXT_CLAIMS:
            if not isinstance(claims.get(name), str) or not claims[name]:
                raise TokenInvalid
        for name in _TIME_CLAIMS:
            # Not isinstance: a bool is an int.
            if type(claims.get(name)) is not int:
                raise TokenInvalid
        if claims.get("iss") != self._issuer or claims.get("aud") != self._audience:
            raise TokenInvalid
        if claims["exp"] <= claims["iat"] or claims["iat"] > now + FUTURE_SECONDS:
            raise TokenInvalid
        if claims["exp"] <= now:
            raise TokenExpired
        return AccessClaims.from_jwt(claims)


def _decode(text: str) -> bytes:
    """Base64url as RFC 7515 section 2 has it: no padding, and no spare bits that would make a second spelling."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise TokenInvalid from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != text.encode("ascii"):
        raise TokenInvalid
    return raw


def _object(text: str) -> dict[str, Any]:
    """A JSON object without repeated members (RFC 7515 section 4, RFC 7519 section 4)."""
    try:
        value = json.loads(_decode(text).decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise TokenInvalid from None
    if not isinstance(value, dict):
        raise TokenInvalid
    return value


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("repeated member")
    return found
