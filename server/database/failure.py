"""The one way from a database's error to StoreUnavailable."""

from __future__ import annotations

import structlog

from server.core.errors import StoreUnavailable
from server.core.origin import COMMAND_LINE, current_origin

_log = structlog.get_logger("watchword.store")


def unavailable(error: BaseException, reason: str | None = None) -> StoreUnavailable:
    """What callers get; the reason is for the log, or for whoever runs a command.

    Messages of databases hold no password, but may hold a value.
    """
    known = (getattr(error, name, None) for name in ("reason", "sqlite_errorname", "strerror"))
    reason = reason or next(filter(None, known), type(error).__name__)
    if current_origin().via != COMMAND_LINE:
        _log.warning("the store did not answer", reason=reason)
    failure = StoreUnavailable()
    failure.reason = reason
    failure.__cause__ = error
    return failure
