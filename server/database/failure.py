"""Turns the error of a database into StoreUnavailable, and tells the log: when trouble begins and when it is over.

Thousands of requests may fail while a disk is full. They are counted, and told once a minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import structlog

from server.core.errors import StoreUnavailable
from server.core.origin import COMMAND_LINE, current_origin

Operation = Literal["read", "write"]

# The reason of a failure: nothing is read or written until the store is whole again.
DAMAGED = "the store is damaged"

# It is over once a call has succeeded and none has failed for so long. Of several calls at a time, some may succeed.
CALM_SECONDS = 2.0
TELL_SECONDS = 60.0
# So many reasons of one trouble are told, each when it is seen for the first time.
MOST_REASONS = 5

_log = structlog.get_logger("watchword.store")


class Trouble:
    """The trouble of a driver. It is used in the event loop alone."""

    def __init__(
        self, now: Callable[[], float] = time.monotonic, notice: Callable[[BaseException], None] | None = None
    ) -> None:
        """`notice` is called with each error."""
        self._now = now
        self._notice = notice
        # Those whose last call has failed: on a full disk reads succeed, and tell nothing of writes.
        self._failing: set[Operation] = set()
        self._reasons: set[str] = set()
        self._failed = 0
        self._since = self._failed_at = self._told_at = 0.0

    @property
    def is_on(self) -> bool:
        """Whether `succeeded` has to be called: it is asked after each call that has succeeded."""
        return bool(self._failing)

    def failed(self, operation: Operation, error: BaseException, reason: str | None = None) -> StoreUnavailable:
        """The error to raise. Its reason goes to the log, or to whoever runs a command, never into an answer.

        By default the reason is the name of the error: the message of a database may contain a value of a statement.
        """
        known = (getattr(error, name, None) for name in ("reason", "sqlite_errorname", "strerror"))
        reason = reason or next(filter(None, known), type(error).__name__)
        self._note(operation, reason)
        if self._notice is not None:
            self._notice(error)
        failure = StoreUnavailable()
        failure.reason = reason
        failure.__cause__ = error
        return failure

    def _note(self, operation: Operation, reason: str) -> None:
        if current_origin().via == COMMAND_LINE:
            # Commands print it.
            return
        now = self._failed_at = self._now()
        if not self._failing:
            self._since = now
            self._failed = 0
            self._reasons.clear()
        self._failing.add(operation)
        self._failed += 1
        if reason not in self._reasons and len(self._reasons) < MOST_REASONS:
            self._reasons.add(reason)
            self._told_at = now
            _log.warning("the store did not answer", reason=reason)
        elif now - self._told_at >= TELL_SECONDS:
            self._told_at = now
            _log.warning("the store still does not answer", reason=reason, failed=self._failed, seconds=self._seconds())

    def succeeded(self, operation: Operation) -> None:
        """A call has succeeded. Call it for a write only if that has changed something: the disk may be full."""
        if self._failing and self._now() - self._failed_at >= CALM_SECONDS:
            self._failing.discard(operation)
            if not self._failing:
                _log.info("the store answers again", failed=self._failed, seconds=self._seconds())

    def _seconds(self) -> int:
        return round(self._now() - self._since)
