"""The errors of verifying tokens and guarding routes.

    WatchwordError
    ├── ConfigurationError        the settings can't be used; one line per problem
    ├── KeyRefused                a JWK or JWK Set that must not be used to verify tokens
    └── ApiError                  becomes a problem (RFC 9457) with `status`, `code`, `title`
        ├── Unauthorized 401      with WWW-Authenticate (RFC 6750 section 3): TokenMissing, TokenInvalid, TokenExpired
        ├── InsufficientRole 403
        └── TryLater 503          with Retry-After: KeysUnavailable

`code` and `status` are part of the HTTP contract: clients branch on them. `detail` is public, so it never holds
a secret. The server's own errors are subclasses of these, and are defined in the modules that raise them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class WatchwordError(Exception):
    """The root of the tree above."""


class ConfigurationError(WatchwordError):
    """The settings can't be used. Each line of `problems` names a setting and the remedy."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class KeyRefused(WatchwordError):
    """A JWK or JWK Set must not be used to verify tokens. The message gives the reason and never quotes a key."""


class ApiError(WatchwordError):
    """An answer that is not a success: one problem of RFC 9457."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"
    default_detail: ClassVar[str] = "The server could not handle this request."

    def __init__(self, detail: str | None = None, **members: Any) -> None:
        self.detail = detail if detail is not None else self.default_detail
        self.members = members
        super().__init__(self.detail)

    def headers(self) -> Mapping[str, str]:
        """Header fields that go with the answer."""
        return {}

    def problem(self, type_uri: str) -> dict[str, Any]:
        """The members of the problem (RFC 9457 section 3.1), with `code` and the members of this error."""
        return {
            "type": type_uri,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            **self.members,
        }


class Unauthorized(ApiError):
    """401, always with `WWW-Authenticate: Bearer` (RFC 6750 section 3)."""

    status = 401
    # The user of a genuine token that was refused. It is only for the log.
    subject: str | None = None

    def headers(self) -> Mapping[str, str]:
        """The challenge. Its error is `invalid_token`, except if no token was sent."""
        return {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class TokenMissing(Unauthorized):
    """No bearer token was sent."""

    code = "token_missing"
    title = "Authentication required"
    default_detail = "Send an access token: Authorization: Bearer <token>."

    def headers(self) -> Mapping[str, str]:
        """The challenge without an error attribute, since no token was sent (RFC 6750 section 3.1)."""
        return {"WWW-Authenticate": "Bearer"}


class TokenInvalid(Unauthorized):
    """The issuer would not have made this token. `reason` is for people who inspect it, and is not in the answer."""

    code = "token_invalid"
    title = "Invalid token"
    default_detail = "The access token is not valid."

    def __init__(self, detail: str | None = None, *, reason: str | None = None) -> None:
        super().__init__(detail)
        self.reason = reason or self.detail


class TokenExpired(Unauthorized):
    """A genuine token, past its `exp`."""

    code = "token_expired"
    title = "Token expired"
    default_detail = "Session expired. Please log in again."


class InsufficientRole(ApiError):
    """The caller is known, but the role does not suffice. Members: `required` (roles), `role`."""

    status = 403
    code = "insufficient_role"
    title = "Insufficient role"
    default_detail = "Your role does not allow this."


class TryLater(ApiError):
    """Usually 503, always with Retry-After in whole seconds (RFC 9110 section 10.2.3)."""

    status = 503

    def __init__(self, retry_after_seconds: int = 1) -> None:
        super().__init__()
        self.retry_after_seconds = retry_after_seconds

    def headers(self) -> Mapping[str, str]:
        """When to try again."""
        return {"Retry-After": str(self.retry_after_seconds)}


class KeysUnavailable(TryLater):
    """No keys could be fetched yet. Only a service that verifies with a JWKS URL answers this, Watchword never does."""

    code = "keys_unavailable"
    title = "Keys unavailable"
    default_detail = "The keys that verify tokens can't be fetched. Try again shortly."
