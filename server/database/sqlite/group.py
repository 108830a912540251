"""Writes a group of units in one transaction, on the connection's thread.

group_writer.py collects the groups, on the event loop. A unit is a function of driver.py, which expects a transaction
of its own. Here it gets a savepoint instead.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from server.core.errors import StoreMoving
from server.database.driver import Result, Row
from server.database.sqlite import closing
from server.database.sqlite.file_watch import FileWatch
from server.database.sqlite.statements import bound, is_busy
from server.database.sqlite.waiting_unit import WaitingUnit
from server.database.store_state import BEING_MOVED


class GroupConnection(sqlite3.Connection):
    """The connection that writes. Its `commit` writes a whole group.

    Each call of aiosqlite goes to the connection's thread and back, which costs more than most statements. aiosqlite
    has no method to run a function there. But its `commit()` calls this one there, so a group needs only one such hop.
    """

    write_group: Callable[[], None] | None = None

    def commit(self) -> None:
        """Write what `write_group` was set to, once: else the last group would keep its requests in memory."""
        write_group, self.write_group = self.write_group, None
        if write_group is not None:
            write_group()


class ThreadTransaction:
    """The transaction of a group, on the connection's thread. It never waits for the event loop."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    @property
    def open(self) -> bool:
        """Whether it has begun and not ended; SQLite itself may have rolled it back, for example on a full disk."""
        return self.connection.in_transaction

    def execute(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run a statement and return its rows."""
        rows: Sequence[Row] = self.connection.execute(sql, bound(parameters)).fetchall()
        return rows

    async def run(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run a statement for a unit. It never suspends."""
        return self.execute(sql, *parameters)

    async def lock(self, name: str) -> None:
        """Does nothing, since only one transaction at a time can write."""

    async def announce(self) -> None:
        """Does nothing, since SQLite counts commits itself (`PRAGMA data_version`)."""


def commit_together(transaction: ThreadTransaction, watch: FileWatch, group: list[WaitingUnit]) -> None:
    """Write a group, and note result or error in each of its units. Raises errors that end the whole group."""
    watch.before_write(transaction.connection)
    try:
        _begin(transaction, watch, group)
        # The triggers would let a statement pass that finds no row, such as the refresh of a session of the new store.
        closing.refuse_writes(transaction.connection)
        for waiting in group:
            if not waiting.future.cancelled() and waiting.claim():
                _run_unit(transaction, waiting)
        transaction.execute("COMMIT")
    except BaseException:
        if transaction.open:
            with suppress(sqlite3.Error):
                transaction.execute("ROLLBACK")
        raise
    watch.after_write(transaction.connection)


def _begin(transaction: ThreadTransaction, watch: FileWatch, group: list[WaitingUnit]) -> None:
    """Begin. If another program holds SQLite's own lock, try again as long as a caller waits for this group.

    Raises StoreMoving if this program is `store move`.
    """
    while True:
        try:
            transaction.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if is_busy(error) and closing.is_being_moved(watch.path):
                raise StoreMoving(BEING_MOVED) from error
            if not is_busy(error) or all(waiting.future.done() for waiting in group):
                raise
        else:
            return


def _run_unit(transaction: ThreadTransaction, waiting: WaitingUnit) -> None:
    # SQLite undoes a single statement that fails. If a unit has several, the savepoint undoes the earlier ones.
    savepoint = not waiting.alone
    if savepoint:
        transaction.execute("SAVEPOINT unit")
    try:
        waiting.result = _result_of(waiting.unit(transaction))
    except Exception as error:
        if not transaction.open:
            # SQLite has rolled back the whole transaction, so the whole group has failed.
            raise
        waiting.error = closing.refusal_of(error) or error
        if savepoint:
            transaction.execute("ROLLBACK TO unit")
    if savepoint:
        transaction.execute("RELEASE unit")


def _result_of(unit: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine without an event loop. It awaits only the transaction's methods, so it never suspends."""
    try:
        unit.send(None)
    except StopIteration as finished:
        result: Result = finished.value
        return result
    unit.close()
    raise TypeError("a unit may await nothing but its transaction")
