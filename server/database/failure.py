"""Turns the error of a database into StoreUnavailable, and logs it."""

from __future__ import annotations

import structlog

from server.core.errors import StoreUnavailable
from server.core.origin import COMMAND_LINE, current_origin

_log = structlog.get_logger("watchword.store")


def unavailable(error: BaseException, reason: str | None = None) -> StoreUnavailable:
    """The error to raise. Its reason goes to the log, or to the person who runs a command, never into an answer.

    By default the reason is the name of the error: the message of a database may contain a value of a statement.
    """
    known = (getattr(error, name, None) for name in ("reason", "sqlite_errorname", "strerror"))
    reason = reason or next(filter(None, known), type(error).__name__)
    if current_origin().via != COMMAND_LINE:
        _log.warning("the store did not answer", reason=reason)
    failure = StoreUnavailable()
    failure.reason = reason
    failure.__cause__ = error
    return failure
