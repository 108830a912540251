"""Every error that Watchword raises on purpose.

    WatchwordError
    ├── ConfigurationError        the start ends with exit code 2, one line per problem
    ├── KeyRefused                a JWK or JWK Set that must not be used to verify tokens
    ├── RotationUnderWay          in keys/rotation.py: a key that was asked to follow has not begun to sign
    ├── StoreRefused              the store can't be used as it is: locked, newer, foreign, damaged; exit code 1
    ├── FileRefused               a file that a command was given can't be used; exit code 1
    └── ApiError                  becomes a problem (RFC 9457) with `status`, `code`, `title`
        ├── MalformedRequest, InvalidJson, InvalidCredentials, InvalidResetToken, SessionConflict 400
        ├── Unauthorized          401   (carries WWW-Authenticate, RFC 6750 section 3)
        │   ├── TokenMissing, TokenInvalid, TokenExpired, TokenRevoked
        │   └── RefreshInvalid, RefreshExpired, RefreshReused
        ├── InsufficientRole 403   CsrfRefused 403   NotFound 404   MethodNotAllowed 405   RequestTimeout 408
        ├── UsernameTaken 409      LastAdmin 409     PayloadTooLarge 413   UnsupportedMediaType 415
        ├── InvalidRequest 422     InternalError 500 (only for defects: no input leads here)
        └── TooManyAttempts 429    Overloaded 503    StoreUnavailable 503   KeysUnavailable 503   (with Retry-After)

`code` and `status` are part of the HTTP contract: clients branch on them. `detail` is public, so it never holds
a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from watchword_client.errors import ApiError, ConfigurationError, TryLater, Unauthorized, WatchwordError

# The root of the tree is the client library's, which raises some of them too.
__all__ = [
    "ApiError",
    "ConfigurationError",
    "CsrfRefused",
    "FileRefused",
    "InternalError",
    "InvalidCredentials",
    "InvalidJson",
    "InvalidRequest",
    "InvalidResetToken",
    "LastAdmin",
    "MalformedRequest",
    "MethodNotAllowed",
    "NotFound",
    "Overloaded",
    "PayloadTooLarge",
    "RefreshExpired",
    "RefreshInvalid",
    "RefreshReused",
    "RequestTimeout",
    "SessionConflict",
    "StoreRefused",
    "StoreUnavailable",
    "TokenRevoked",
    "TooManyAttempts",
    "TryLater",
    "Unauthorized",
    "UnsupportedMediaType",
    "UsernameTaken",
    "WatchwordError",
]


class StoreRefused(WatchwordError):
    """The store exists but must not be used as it is. The message says what to do."""


class FileRefused(WatchwordError):
    """A file that a command was given can't be used. The message names it and says why."""


class MalformedRequest(ApiError):
    """The bytes are not HTTP, or a header field is repeated or unreadable (RFC 9112)."""

    status = 400
    code = "malformed_request"
    title = "Malformed request"
    default_detail = "The request could not be read as HTTP."


class InvalidJson(ApiError):
    """The body is not one JSON object in UTF-8 (RFC 8259)."""

    status = 400
    code = "invalid_json"
    title = "Invalid JSON"
    default_detail = "The body is not a JSON object in UTF-8."


class InvalidCredentials(ApiError):
    """Unknown user, disabled user or wrong password: one answer for all three."""

    status = 400
    code = "invalid_credentials"
    title = "Invalid credentials"
    default_detail = "Invalid username or password"


class InvalidResetToken(ApiError):
    """The reset token is unknown, used or expired."""

    status = 400
    code = "reset_invalid"
    title = "Invalid reset token"
    default_detail = "This reset token is not valid any more. Ask for a new one."


class SessionConflict(ApiError):
    """Bearer token, cookie and body of one request are not all of the same session."""

    status = 400
    code = "session_conflict"
    title = "Two sessions in one request"
    default_detail = "The tokens of this request belong to different sessions. Send one of them."


class TokenRevoked(Unauthorized):
    """A genuine token whose session is over or whose role is out of date. `subject` is whose it is, for the log."""

    code = "token_revoked"
    title = "Token revoked"
    default_detail = "This access token is not valid any more. Refresh it, or log in again."

    def __init__(self, subject: str | None = None) -> None:
        super().__init__()
        self.subject = subject


class RefreshInvalid(Unauthorized):
    """Not a refresh token of a living session."""

    code = "refresh_invalid"
    title = "Invalid refresh token"
    default_detail = "The refresh token is not valid. Please log in again."


class RefreshExpired(Unauthorized):
    """The session was unused for too long, or reached its full age."""

    code = "refresh_expired"
    title = "Session expired"
    default_detail = "Session expired. Please log in again."


class RefreshReused(Unauthorized):
    """A refresh token came back after its successor was used: the session is ended (RFC 9700 section 4.14.2)."""

    code = "refresh_reused"
    title = "Refresh token reused"
    default_detail = "This refresh token was used before, so its session was ended. Please log in again."


class CsrfRefused(ApiError):
    """A cookie came from another site."""

    status = 403
    code = "csrf"
    title = "Cross-site request refused"
    default_detail = "A request with the session cookie must come from this site or from an allowed origin."


class NotFound(ApiError):
    """No such route, or no such thing behind it."""

    status = 404
    code = "not_found"
    title = "Not found"
    default_detail = "There is nothing here."


class MethodNotAllowed(ApiError):
    """The path exists for other methods."""

    status = 405
    code = "method_not_allowed"
    title = "Method not allowed"
    default_detail = "This path does not take this method."

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__()
        self.allowed = tuple(allowed)

    def headers(self) -> Mapping[str, str]:
        """`Allow` (RFC 9110 section 15.5.6)."""
        return {"Allow": ", ".join(self.allowed)}


class RequestTimeout(ApiError):
    """The body did not arrive in time."""

    status = 408
    code = "request_timeout"
    title = "Request timeout"
    default_detail = "The body did not arrive in time."


class UsernameTaken(ApiError):
    """Another user has this name (case does not count)."""

    status = 409
    code = "username_taken"
    title = "Username taken"
    default_detail = "This username is taken."


class LastAdmin(ApiError):
    """The change would leave no enabled user with the role admin."""

    status = 409
    code = "last_admin"
    title = "Last admin"
    default_detail = "This is the last enabled admin. Make another one first."


class PayloadTooLarge(ApiError):
    """The body is larger than `server.max_body_bytes`."""

    status = 413
    code = "payload_too_large"
    title = "Payload too large"
    default_detail = "The body is too large."


class UnsupportedMediaType(ApiError):
    """The body is not declared as `application/json`, or it is encoded."""

    status = 415
    code = "unsupported_media_type"
    title = "Unsupported media type"
    default_detail = "Send the body as application/json, without a content encoding."


class InvalidRequest(ApiError):
    """A wrong or unknown field. `errors` is a list of `{field, message}`."""

    status = 422
    code = "invalid_request"
    title = "Invalid request"
    default_detail = "Some fields are not as they should be."

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__(errors=[{"field": field, "message": message} for field, message in errors])


class InternalError(ApiError):
    """A defect. The log has the traceback, the answer has only the request id."""


class TooManyAttempts(TryLater):
    """Too many wrong passwords, of this account, from this address or in all. Nothing was looked at."""

    status = 429
    code = "too_many_attempts"
    title = "Too many attempts"
    default_detail = (
        "Too many attempts. Wait a while, log in where you have logged in before, or have the password reset."
    )


class Overloaded(TryLater):
    """The queue of password hashes is full, so many tries run that no more may, or all descriptors are in use."""

    code = "overloaded"
    title = "Overloaded"
    default_detail = "Too much is waiting to be done. Try again shortly."


class StoreUnavailable(TryLater):
    """The store did not answer or did not take the write. If it was lost at the commit, that may have happened."""

    # Why, if it is known: for the log and for commands, not for the answer.
    reason: str | None = None

    code = "store_unavailable"
    title = "Store unavailable"
    default_detail = "The store can't be reached. Try again shortly."
