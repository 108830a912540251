"""A unit that waits to be written, and the future of its caller."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import Any

from server.core.errors import StoreMoving, StoreUnavailable
from server.database.driver import Unit
from server.database.failure import Trouble
from server.database.sqlite.statements import is_unavailable
from server.files.file_lock import LOCKED

# A unit that has not begun after this time is given up, for example because another process holds the lock.
BEGIN_SECONDS = 2.0
# After this time the caller gets an error, even if the disk hangs and the unit may still be written.
ANSWER_SECONDS = 4.0
HANGS = "the disk did not take a write in time"


class WaitingUnit:
    """A unit whose caller waits for `future`. If `alone` is true, it is one statement and needs no savepoint."""

    __slots__ = ("_claim", "_trouble", "alone", "begin_by", "error", "future", "result", "timer", "unit")

    def __init__(self, unit: Unit[Any], loop: asyncio.AbstractEventLoop, trouble: Trouble, *, alone: bool) -> None:
        self.unit = unit
        self._trouble = trouble
        self.alone = alone
        self.future: asyncio.Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None
        self._claim = threading.Lock()
        self.begin_by = loop.time() + BEGIN_SECONDS
        self.timer = loop.call_at(self.begin_by, self._late, loop)

    def claim(self) -> bool:
        """True for the first caller only: the thread, which then runs the unit, or the timer, which gives it up."""
        return self._claim.acquire(blocking=False)

    def _late(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.claim():
            self._refuse(TimeoutError(), LOCKED, undone=True)
        else:
            self.timer = loop.call_later(ANSWER_SECONDS - BEGIN_SECONDS, self._refuse, TimeoutError(), HANGS)

    def deliver(self) -> None:
        """Give the caller its result or error."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        elif is_unavailable(self.error):
            # The group was committed without this unit.
            self._refuse(self.error, undone=True)
        else:
            self.future.set_exception(self.error)

    def fail(self, cause: BaseException) -> None:
        """Give the caller StoreUnavailable, unless it has its answer already."""
        # An error of SQLite ends the transaction of the whole group. Others may have come when it was committed.
        self._refuse(cause, undone=isinstance(cause, sqlite3.Error))

    def _refuse(self, cause: BaseException, reason: str | None = None, *, undone: bool = False) -> None:
        if self.future.done():
            return
        failure = self._trouble.failed("write", cause, reason)
        if isinstance(cause, StoreMoving):
            moving = StoreMoving(failure.reason)
            moving.__cause__ = cause
            failure = moving
        failure.undone = undone
        self.future.set_exception(failure)

    def drop(self, failure: StoreUnavailable) -> None:
        """Give the caller this error without a word in the log: that has the reason already."""
        if not self.future.done():
            self.future.set_exception(failure)
