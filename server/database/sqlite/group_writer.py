"""The one task that writes to SQLite. It commits all waiting units together, since each commit waits for the disk.

Coroutines must not use the connection themselves: they would share its transaction, and the ROLLBACK of one would undo
the writes of another.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import aiosqlite

from server.core.errors import StoreUnavailable
from server.core.turns import Turns
from server.database.driver import Result, Row, Transaction, Unit
from server.database.failure import Trouble
from server.database.sqlite.file_watch import FileWatch
from server.database.sqlite.group import GroupConnection, ThreadTransaction, commit_together
from server.database.sqlite.waiting_unit import WaitingUnit
from server.files.fair_lock import FairLock

# The most units in a group. The first of them waits until the last is written.
GROUP_LIMIT = 64
# The most units that may wait. On a healthy disk even a burst of requests stays below this.
QUEUE_LIMIT = 2048
# So long a group may wait for more units, while there are more after each round of the event loop.
GATHER_SECONDS = 0.01


class GroupWriter:
    """Owns the connection that writes. Each group is one transaction, under the write lock between processes."""

    def __init__(
        self,
        connection: aiosqlite.Connection,
        opened: GroupConnection,
        lock: FairLock,
        watch: FileWatch,
        trouble: Trouble,
    ) -> None:
        self._connection = connection
        self._opened = opened
        self._trouble = trouble
        self._transaction = ThreadTransaction(opened)
        self._lock = lock
        self._watch = watch
        self._waiting: deque[WaitingUnit] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._turns = Turns()
        # Kept, since asyncio.get_running_loop() makes a system call in Python 3.11.
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name="sqlite writer")

    @classmethod
    async def start(cls, connection: aiosqlite.Connection, lock: FairLock, watch: FileWatch, trouble: Trouble) -> Self:
        """Start the task. The connection has to be made with the factory GroupConnection."""
        async with connection.execute("SELECT 1") as cursor:
            opened: Any = cursor.connection
        return cls(connection, opened, lock, watch, trouble)

    async def write(self, unit: Unit[Result]) -> Result:
        """Run a unit, and return when it is on disk. Raises StoreUnavailable, or what the unit raised.

        If the caller is cancelled or the time is over before the unit has begun, it is never written. If the unit has
        begun, it is finished. Only if the disk hangs (ANSWER_SECONDS), the caller can't know whether it was written.
        """
        return await self._wait_for(unit, alone=False)

    async def write_one(self, sql: str, parameters: Sequence[Any]) -> Sequence[Row]:
        """Run one statement as a unit, without a savepoint."""

        async def unit(transaction: Transaction) -> Sequence[Row]:
            return await transaction.run(sql, *parameters)

        return await self._wait_for(unit, alone=True)

    async def _wait_for(self, unit: Unit[Result], *, alone: bool) -> Result:
        if self._closing or self._watch.is_lost or len(self._waiting) >= QUEUE_LIMIT:
            raise StoreUnavailable
        if self._watch.damage.found and self._watch.damage.is_checking:
            # A large file takes long to read again.
            raise self._watch.refusal()
        waiting = WaitingUnit(unit, self._loop, self._trouble, alone=alone)
        self._waiting.append(waiting)
        self._wake.set()
        try:
            result: Result = await waiting.future
        except StoreUnavailable as failure:
            if self._watch.damage.found and failure.undone:
                # Whatever it waited for, such as another worker that reads the file again.
                refusal = self._watch.refusal()
                refusal.undone = True
                raise refusal from failure
            raise
        finally:
            waiting.timer.cancel()
        return result

    async def close(self) -> None:
        """Write what waits, then end. On a healthy disk this takes less than BEGIN_SECONDS."""
        self._closing = True
        self._wake.set()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while True:
                while self._somebody_waits():
                    await self._gather()
                    await self._write_group()
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
        finally:
            # If this task is cancelled, no caller must wait for ever.
            self._closing = True
            for waiting in self._waiting:
                waiting.drop(StoreUnavailable())

    def _somebody_waits(self) -> bool:
        while self._waiting and self._waiting[0].future.done():
            self._waiting.popleft()
        return bool(self._waiting)

    async def _gather(self) -> None:
        """Let requests that have arrived add their units: they come in turns (server/core/turns.py)."""
        until, before = self._loop.time() + GATHER_SECONDS, 0
        while before < len(self._waiting) < GROUP_LIMIT and self._loop.time() < until:
            before = len(self._waiting)
            await asyncio.sleep(0)

    async def _write_group(self) -> None:
        group: list[WaitingUnit] = []
        changes = self._opened.total_changes
        try:
            # Wait for the lock until the last caller would give up. Longer would only delay the end of the server.
            async with self._lock.held(self._waiting[-1].begin_by - self._loop.time()):
                # The group is made after the wait, so it has no units whose callers gave up meanwhile.
                size = min(len(self._waiting), GROUP_LIMIT)
                group.extend(self._waiting.popleft() for _ in range(size))
                await self._hop(group)
        except BaseException as error:
            for waiting in group:
                if self._watch.taken:
                    waiting.drop(self._watch.refusal())
                else:
                    waiting.fail(error)
            if not isinstance(error, Exception):
                raise
            # If the lock was not free, the queue is unchanged. Let the timers of its units run, which end their wait.
            await asyncio.sleep(0)
        else:
            for waiting in group:
                # Each wakes a request, which now makes its answer.
                self._turns.soon(waiting.deliver)
            # What changes nothing writes nothing, and so succeeds on a full disk too.
            if self._trouble.is_on and self._opened.total_changes != changes:
                self._trouble.succeeded("write")

    async def _hop(self, group: list[WaitingUnit]) -> None:
        self._opened.write_group = partial(commit_together, self._transaction, self._watch, group)
        hop = asyncio.ensure_future(self._connection.commit())
        try:
            await asyncio.shield(hop)
        except asyncio.CancelledError:
            # The thread goes on, so the lock has to be held until it has ended.
            await asyncio.wait([hop])
            raise
