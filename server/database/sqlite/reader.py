"""A connection that only reads."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Any, cast

import aiosqlite

from server.database.driver import Row
from server.database.failure import Trouble
from server.database.sqlite.statements import bound, is_unavailable

# A read that takes longer is interrupted.
READ_SECONDS = 4.0


class ReadingConnection(sqlite3.Connection):
    """Has one cursor for all its statements, each of which is read to its end.

    sqlite3 refers weakly to each cursor that was made, and forgets those that are gone once they are 200. References
    that were made while a crowd of clients was there would keep 1 MB each of its memory.
    """

    _only: sqlite3.Cursor | None = None

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run a statement. `fetchall` has to follow."""
        if self._only is None:
            self._only = self.cursor(_OnlyCursor)
        return self._only.execute(sql, parameters)

    def renew(self) -> None:
        """Use another cursor from now on."""
        self._only = None


class _OnlyCursor(sqlite3.Cursor):
    def fetchall(self) -> list[Any]:
        try:
            return super().fetchall()
        except BaseException:
            # If a row can't be read, the statement would go on, and hold its transaction.
            self.close()
            cast("ReadingConnection", self.connection).renew()
            raise


class Reader:
    """A connection that reads, and the number of calls that wait for it."""

    __slots__ = ("_loop", "_trouble", "connection", "waiting")

    def __init__(self, connection: aiosqlite.Connection, trouble: Trouble) -> None:
        self.connection = connection
        self._trouble = trouble
        self.waiting = 0
        # Kept, since asyncio.get_running_loop() makes a system call in Python 3.11.
        self._loop = asyncio.get_running_loop()

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Row]:
        """Run a SELECT. Raises StoreUnavailable, also if it takes longer than READ_SECONDS.

        This does what asyncio.timeout() does, which would make a read a fifth slower.
        """
        task: Any = asyncio.current_task(self._loop)
        cancelling: int = task.cancelling()
        given_up: list[bool] = []
        timer = self._loop.call_later(READ_SECONDS, _give_up, task, given_up)
        self.waiting += 1
        try:
            rows: Any = await self.connection.execute_fetchall(sql, bound(parameters))
        except asyncio.CancelledError as error:
            if not given_up:
                raise
            # Interrupt the running statement, since all calls of this connection wait for it.
            await self.connection.interrupt()
            if task.uncancel() > cancelling:
                raise
            raise self._trouble.failed("read", TimeoutError()) from error
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            if is_unavailable(error):
                raise self._trouble.failed("read", error) from error
            raise
        finally:
            self.waiting -= 1
            timer.cancel()
        if self._trouble.is_on:
            self._trouble.succeeded("read")
        return rows  # type: ignore[no-any-return]


def _give_up(task: asyncio.Task[Any], given_up: list[bool]) -> None:
    given_up.append(True)
    task.cancel()


def waiting(reader: Reader) -> int:
    """The number of waiting calls, as a key for min()."""
    return reader.waiting
