"""The one task that writes to SQLite: what waits is committed together, since a commit waits for the disk.

Two coroutines on one connection would share its transaction: the ROLLBACK of one would erase the write of the other.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

import aiosqlite

from server.core.errors import StoreUnavailable
from server.database.driver import Result, Row, Transaction, Unit
from server.database.failure import unavailable
from server.database.sqlite.file_watch import FileWatch
from server.files.file_lock import LOCKED, FairLock

# Bounds how long the first of a group waits for the last.
GROUP_LIMIT = 64
# More than a burst of requests leaves waiting while the disk is well.
QUEUE_LIMIT = 2048
# A unit that has not begun so long after it came, since another process holds a lock, never will.
BEGIN_SECONDS = 2.0
# Who waits for a unit is answered by then, even if the disk hangs and nobody knows what becomes of it.
ANSWER_SECONDS = 4.0


def bound(parameters: Sequence[Any]) -> dict[str, Any]:
    """Parameters for `$1`, `$2` …, which SQLite takes for names."""
    return {str(number): value for number, value in enumerate(parameters, 1)}


def is_unavailable(error: BaseException) -> bool:
    """Whether the file or the disk is at fault; the other errors of sqlite3 are defects of a statement."""
    defects = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.NotSupportedError)
    return isinstance(error, sqlite3.DatabaseError | OSError) and not isinstance(error, defects)


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection holds a lock. The lower byte is the kind of error."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


class ThreadTransaction:
    """The transaction of a group, on the connection's own thread: nothing here waits for the event loop."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    @property
    def open(self) -> bool:
        """Whether it has begun and neither ended nor been rolled back by SQLite, as for a full disk."""
        return self.connection.in_transaction

    def execute(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run a statement."""
        rows: Sequence[Row] = self.connection.execute(sql, bound(parameters)).fetchall()
        return rows

    async def run(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """As units call it; it never suspends."""
        return self.execute(sql, *parameters)

    async def lock(self, name: str) -> None:
        """Nothing to do: there is one writer at a time."""

    async def announce(self) -> None:
        """Nothing to do: SQLite counts every commit itself."""


class _Waiting:
    """A unit whose caller waits for `future`. `alone`: it is one statement, which needs no savepoint."""

    __slots__ = ("_claim", "alone", "begin_by", "error", "future", "result", "timer", "unit")

    def __init__(self, unit: Unit[Any], loop: asyncio.AbstractEventLoop, *, alone: bool) -> None:
        self.unit = unit
        self.alone = alone
        self.future: asyncio.Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None
        self._claim = threading.Lock()
        self.begin_by = loop.time() + BEGIN_SECONDS
        self.timer = loop.call_at(self.begin_by, self._late, loop)

    def claim(self) -> bool:
        """True for the first who asks: the thread, which then runs it, or the timer, after which it never runs."""
        return self._claim.acquire(blocking=False)

    def _late(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.claim():
            self.fail(reason=LOCKED)
        else:
            self.timer = loop.call_later(ANSWER_SECONDS - BEGIN_SECONDS, self.fail)

    def deliver(self) -> None:
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        elif is_unavailable(self.error):
            self.future.set_exception(unavailable(self.error))
        else:
            self.future.set_exception(self.error)

    def fail(self, cause: BaseException | None = None, reason: str | None = None) -> None:
        if not self.future.done():
            failure = StoreUnavailable()
            failure.reason = reason
            failure.__cause__ = cause
            self.future.set_exception(failure)


class GroupWriter:
    """Owns the writing connection. Each group is one transaction under the lock between processes."""

    def __init__(self, connection: aiosqlite.Connection, lock: FairLock, watch: FileWatch) -> None:
        self._connection = connection
        # aiosqlite makes a hop to its thread and back for each statement, which costs more than most statements do. A
        # group takes one hop, for which there is no public way; the connection itself is known by no public name.
        self._transaction = ThreadTransaction(connection._conn)  # noqa: SLF001
        self._lock = lock
        self._watch = watch
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        # Asked once: in Python 3.11 each asyncio.get_running_loop() is a system call.
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name="sqlite writer")

    async def write(self, unit: Unit[Result]) -> Result:
        """Run a unit; return when it is on disk. Raises StoreUnavailable, or what the unit raised.

        A caller that is cancelled takes its unit along, unless that has begun: then it is finished. What was given up
        before it began is never written. Only of a unit that the disk holds up is it unknown (ANSWER_SECONDS).
        """
        return await self._wait_for(unit, alone=False)

    async def write_one(self, sql: str, parameters: Sequence[Any]) -> Sequence[Row]:
        """Run a unit of one statement."""

        async def unit(transaction: Transaction) -> Sequence[Row]:
            return await transaction.run(sql, *parameters)

        return await self._wait_for(unit, alone=True)

    async def _wait_for(self, unit: Unit[Result], *, alone: bool) -> Result:
        if self._closing or self._watch.taken or len(self._waiting) >= QUEUE_LIMIT:
            raise StoreUnavailable
        waiting = _Waiting(unit, self._loop, alone=alone)
        self._waiting.append(waiting)
        self._wake.set()
        try:
            result: Result = await waiting.future
        finally:
            waiting.timer.cancel()
        return result

    async def close(self) -> None:
        """Write what waits, then end: as long as the disk is well, within BEGIN_SECONDS."""
        self._closing = True
        self._wake.set()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while True:
                while self._somebody_waits():
                    await self._write_group()
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
        finally:
            # Cancelled with the event loop: nobody shall wait for ever.
            self._closing = True
            for waiting in self._waiting:
                waiting.fail()

    def _somebody_waits(self) -> bool:
        while self._waiting and self._waiting[0].future.done():
            self._waiting.popleft()
        return bool(self._waiting)

    async def _write_group(self) -> None:
        group: list[_Waiting] = []
        try:
            # As long as the last of those who wait now, and no longer, or the end would wait for nobody.
            async with self._lock.held(self._waiting[-1].begin_by - self._loop.time()):
                # Only now: who has given up meanwhile is not in it.
                size = min(len(self._waiting), GROUP_LIMIT)
                group.extend(self._waiting.popleft() for _ in range(size))
                await self._hop(group)
        except BaseException as error:
            reason = None if self._watch.taken else unavailable(error).reason
            for waiting in group:
                waiting.fail(error, reason)
            if not isinstance(error, Exception):
                raise
            # If the lock was not free, nobody was taken from the queue, and their timers need a turn to end their wait.
            await asyncio.sleep(0)
        else:
            for waiting in group:
                waiting.deliver()

    async def _hop(self, group: list[_Waiting]) -> None:
        execute: Any = self._connection._execute  # noqa: SLF001
        hop = asyncio.ensure_future(execute(_commit_together, self._transaction, self._watch, group))
        try:
            await asyncio.shield(hop)
        except asyncio.CancelledError:
            # The thread goes on, and the lock has to be held until it is done.
            await asyncio.wait([hop])
            raise


def _commit_together(transaction: ThreadTransaction, watch: FileWatch, group: list[_Waiting]) -> None:
    watch.before_write(transaction.connection)
    try:
        _begin(transaction, group)
        for waiting in group:
            if not waiting.future.cancelled() and waiting.claim():
                _run_unit(transaction, waiting)
        transaction.execute("COMMIT")
    except BaseException:
        if transaction.open:
            with suppress(sqlite3.Error):
                transaction.execute("ROLLBACK")
        raise
    watch.after_write()


def _begin(transaction: ThreadTransaction, group: list[_Waiting]) -> None:
    """Wait for whoever holds SQLite's own lock, such as a person at its command line, while anybody waits for us."""
    while True:
        try:
            transaction.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not is_busy(error) or all(waiting.future.done() for waiting in group):
                raise
        else:
            return


def _run_unit(transaction: ThreadTransaction, waiting: _Waiting) -> None:
    # A statement that fails is undone by SQLite itself; of several, the first ones are not.
    savepoint = not waiting.alone
    if savepoint:
        transaction.execute("SAVEPOINT unit")
    try:
        waiting.result = _result_of(waiting.unit(transaction))
    except Exception as error:
        if not transaction.open:
            # Everything was rolled back, so the whole group has failed.
            raise
        waiting.error = error
        if savepoint:
            transaction.execute("ROLLBACK TO unit")
    if savepoint:
        transaction.execute("RELEASE unit")


def _result_of(unit: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine that awaits nothing but the transaction, and so never suspends."""
    try:
        unit.send(None)
    except StopIteration as finished:
        result: Result = finished.value
        return result
    unit.close()
    raise TypeError("a unit may await nothing but its transaction")
