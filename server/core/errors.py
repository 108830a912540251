"""The errors that Watchword raises on purpose: the root of the tree, and those that several features raise.

    WatchwordError
    ├── ConfigurationError        the start ends with exit code 2, one line per problem
    ├── KeyRefused                in watchword_client/errors.py: a JWK or JWK Set that must not be used to verify tokens
    ├── StoreRefused              the store can't be used as it is: locked, newer, foreign, damaged; exit code 1
    ├── FileRefused               a file that was named to a command can't be used; exit code 1
    └── ApiError                  becomes a problem (RFC 9457) with `status`, `code`, `title`
        ├── NotFound 404, InvalidRequest 422
        ├── Unauthorized 401      with WWW-Authenticate (RFC 6750 section 3)
        ├── TryLater 503          with Retry-After: Overloaded, StoreUnavailable, StoreMoving
        └── those of one feature, in its errors.py

`code` and `status` are part of the HTTP contract: clients branch on them. `detail` is public, so it never holds
a secret.
"""

from __future__ import annotations

from collections.abc import Sequence

from watchword_client.errors import ApiError, ConfigurationError, TryLater, Unauthorized, WatchwordError

# The root of the tree is in the client library, which raises some of these errors too.
__all__ = [
    "ApiError",
    "ConfigurationError",
    "FileRefused",
    "InvalidRequest",
    "NotFound",
    "Overloaded",
    "StoreMoving",
    "StoreRefused",
    "StoreUnavailable",
    "TryLater",
    "Unauthorized",
    "WatchwordError",
]

# A move takes seconds to minutes, and afterwards the servers are restarted.
MOVING_RETRY_SECONDS = 2


class StoreRefused(WatchwordError):
    """The store exists but must not be used as it is. The message says what to do."""


class FileRefused(WatchwordError):
    """A file that was named to a command can't be used. The message names the file and says why."""


class NotFound(ApiError):
    """There is no such route, or no such user, session or key."""

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
    """The queue of password hashes is full, too many attempts are running, or all descriptors are in use."""

    code = "overloaded"
    title = "Overloaded"
    default_detail = "Too much is waiting to be done. Try again shortly."


class StoreUnavailable(TryLater):
    """The store did not answer or did not take the write. If it was lost during the commit, the write may be done."""

    # Why, if it is known. The log and commands show it; HTTP answers do not.
    reason: str | None = None
    # Whether it is certain that nothing was written, so it can be written later.
    undone = False

    code = "store_unavailable"
    title = "Store unavailable"
    default_detail = "The store can't be reached. Try again shortly."


class StoreMoving(StoreUnavailable):
    """The store is being moved to another place, or was moved. It takes no writes; reads go on. Member: `reason`."""

    code = "store_moving"
    title = "Store is being moved"
    default_detail = "The data is moved to another place, and nothing can be changed meanwhile. Try again shortly."

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(MOVING_RETRY_SECONDS)
        self.reason = reason
        self.members = {"reason": self.code}
