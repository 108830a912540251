"""What is written together, in one transaction: the part that runs on the connection's own thread.

group_writer.py is the part on the event loop.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from server.database.driver import Result, Row
from server.database.sqlite.file_watch import FileWatch
from server.database.sqlite.statements import bound, is_busy
from server.database.sqlite.waiting_unit import WaitingUnit


class GroupConnection(sqlite3.Connection):
    """The connection that writes. Its `commit` writes a whole group.

    aiosqlite makes a hop to the connection's thread and back for each call, which costs more than most statements do,
    and it has no call for "run this there". But its `commit()` calls ours there, so a group takes one hop.
    """

    write_group: Callable[[], None] | None = None

    def commit(self) -> None:
        """Write what `write_group` was set to, once: else the last group would keep its requests in memory."""
        write_group, self.write_group = self.write_group, None
        if write_group is not None:
            write_group()


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


def commit_together(transaction: ThreadTransaction, watch: FileWatch, group: list[WaitingUnit]) -> None:
    """Write a group; each of its units then has its result or its error. Raises what concerns them all."""
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


def _begin(transaction: ThreadTransaction, group: list[WaitingUnit]) -> None:
    """Wait for whoever holds SQLite's own lock, such as a person at its command line, while anybody waits for us."""
    while True:
        try:
            transaction.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not is_busy(error) or all(waiting.future.done() for waiting in group):
                raise
        else:
            return


def _run_unit(transaction: ThreadTransaction, waiting: WaitingUnit) -> None:
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
