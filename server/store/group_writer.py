"""The one task that writes to SQLite: what waits is committed together, since a commit waits for the disk.

Two coroutines on one connection would share its transaction: the ROLLBACK of one would erase the write of the other.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import aiosqlite

from server.errors import StoreUnavailable
from server.store.driver import Result, Row, Transaction, Unit
from server.store.failure import unavailable
from server.store.file_lock import FileLock

# Bounds how long the first of a group waits for the last.
GROUP_LIMIT = 64


def bound(parameters: Sequence[Any]) -> dict[str, Any]:
    """Parameters for `$1`, `$2` …, which SQLite takes for names."""
    return {str(number): value for number, value in enumerate(parameters, 1)}


def is_unavailable(error: BaseException) -> bool:
    """Whether the file or the disk is at fault; the other errors of sqlite3 are defects of a statement."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.DataError | sqlite3.NotSupportedError
    )


class _Transaction:
    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def run(self, sql: str, *parameters: Any) -> Sequence[Row]:
        return list(await self._connection.execute_fetchall(sql, bound(parameters)))

    async def lock(self, name: str) -> None:
        """Nothing to do: there is one writer at a time."""

    async def announce(self) -> None:
        """Nothing to do: SQLite counts every commit itself."""


class _Waiting:
    """A unit whose caller waits for `future`. `alone`: it is one statement, which needs no savepoint."""

    __slots__ = ("alone", "error", "future", "result", "unit")

    def __init__(self, unit: Unit[Any], future: asyncio.Future[Any], *, alone: bool) -> None:
        self.unit = unit
        self.alone = alone
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None

    def deliver(self) -> None:
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        elif is_unavailable(self.error):
            self.fail(unavailable(self.error))
        else:
            self.future.set_exception(self.error)

    def fail(self, failure: StoreUnavailable) -> None:
        if not self.future.done():
            self.future.set_exception(failure)


class GroupWriter:
    """Owns the writing connection. Each group is one transaction under the lock between processes."""

    def __init__(self, connection: aiosqlite.Connection, lock: FileLock) -> None:
        self._connection = connection
        self._transaction = _Transaction(connection)
        self._lock = lock
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._task = asyncio.create_task(self._run(), name="sqlite writer")

    async def write(self, unit: Unit[Result]) -> Result:
        """Run a unit; return when it is on disk. Raises StoreUnavailable, or what the unit raised.

        A caller that is cancelled takes its unit along, unless that has begun: then it is finished.
        """
        return await self._wait_for(unit, alone=False)

    async def write_one(self, sql: str, parameters: Sequence[Any]) -> Sequence[Row]:
        """Run a unit of one statement; as `write`, but two hops to the connection less."""

        async def unit(transaction: Transaction) -> Sequence[Row]:
            return await transaction.run(sql, *parameters)

        return await self._wait_for(unit, alone=True)

    async def _wait_for(self, unit: Unit[Result], *, alone: bool) -> Result:
        if self._closing:
            raise StoreUnavailable
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(unit, future, alone=alone))
        self._wake.set()
        return await future

    async def close(self) -> None:
        """Write what waits, then end."""
        self._closing = True
        self._wake.set()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while True:
                while self._waiting:
                    size = min(len(self._waiting), GROUP_LIMIT)
                    await self._write_group([self._waiting.popleft() for _ in range(size)])
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
        finally:
            # Cancelled with the event loop: nobody shall wait for ever.
            self._closing = True
            for waiting in self._waiting:
                waiting.fail(StoreUnavailable())

    async def _write_group(self, group: list[_Waiting]) -> None:
        try:
            async with self._lock.held():
                await self._commit_together(group)
        except BaseException as error:
            for waiting in group:
                waiting.fail(unavailable(error))
            if not isinstance(error, Exception):
                raise
        else:
            for waiting in group:
                waiting.deliver()

    async def _commit_together(self, group: list[_Waiting]) -> None:
        try:
            await self._transaction.run("BEGIN IMMEDIATE")
            for waiting in group:
                if not waiting.future.cancelled():
                    await self._run_unit(waiting)
            await self._transaction.run("COMMIT")
        except BaseException:
            # Some errors, such as a full disk, have rolled back already.
            if self._connection.in_transaction:
                with suppress(sqlite3.Error):
                    await self._transaction.run("ROLLBACK")
            raise

    async def _run_unit(self, waiting: _Waiting) -> None:
        if waiting.alone:
            await self._run_statement(waiting)
            return
        await self._transaction.run("SAVEPOINT unit")
        try:
            waiting.result = await waiting.unit(self._transaction)
        except Exception as error:  # noqa: BLE001 - whatever it is, its caller gets it
            waiting.error = error
            # If the error rolled back everything, this fails, and so does the whole group.
            await self._transaction.run("ROLLBACK TO unit")
        await self._transaction.run("RELEASE unit")

    async def _run_statement(self, waiting: _Waiting) -> None:
        """A statement that fails is undone by SQLite itself, and the transaction stays, unless it was rolled back."""
        try:
            waiting.result = await waiting.unit(self._transaction)
        except Exception as error:
            if not self._connection.in_transaction:
                raise
            waiting.error = error
