"""The errors that Watchword raises on purpose: the root of the tree, and what several features raise.

    WatchwordError
    ├── ConfigurationError        the start ends with exit code 2, one line per problem
    ├── KeyRefused                in watchword_client/errors.py: a JWK or JWK Set that must not be used to verify tokens
    ├── RotationUnderWay          in keys/rotation.py: a key that was asked to follow has not begun to sign
    ├── StoreRefused              the store can't be used as it is: locked, newer, foreign, damaged; exit code 1
    ├── FileRefused               a file that a command was given can't be used; exit code 1
    └── ApiError                  becomes a problem (RFC 9457) with `status`, `code`, `title`
        ├── NotFound 404, InvalidRequest 422
        ├── Unauthorized 401      with WWW-Authenticate (RFC 6750 section 3)
        ├── TryLater 503          with Retry-After: Overloaded, StoreUnavailable
        └── those of one feature, in its errors.py

`code` and `status` are part of the HTTP contract: clients branch on them. `detail` is public, so it never holds
a secret.
"""

from __future__ import annotations

from collections.abc import Sequence

from watchword_client.errors import ApiError, ConfigurationError, TryLater, Unauthorized, WatchwordError

# The root of the tree is the client library's, which raises some of them too.
__all__ = [
    "ApiError",
    "ConfigurationError",
    "FileRefused",
    "InvalidRequest",
    "NotFound",
    "Overloaded",
    "StoreRefused",
    "StoreUnavailable",
    "TryLater",
    "Unauthorized",
    "WatchwordError",
]


class StoreRefused(WatchwordError):
    """The store exists but must not be used as it is. The message says what to do."""


class FileRefused(WatchwordError):
    """A file that a command was given can't be used. The message names it and says why."""


class NotFound(ApiError):
    """No such route, or no such thing behind it."""

    status = 404
    code = "not_found"
    title = "Not found"
    default_detail = "There is nothing here."


class InvalidRequest(ApiError):
    """A wrong or unknown field. `errors` is a list of `{field, message}`."""

    status = 422
    code = "invalid_request"
    title = "Invalid request"
    default_detail = "Some fields are not as they should be."

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__(errors=[{"field": field, "message": message} for field, message in errors])


class Overloaded(TryLater):
    """The queue of password hashes is full, so many attempts run that no more may, or all descriptors are in use."""

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
