"""Keeps an SQLite store from being written: while it is moved by a lock, and afterwards by triggers.

Whoever moves it holds SQLite's own write lock, which the kernel releases if it is killed. It also holds a lock on a
file, by which others see why they can't write.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing as closed
from contextlib import suppress
from pathlib import Path

from server.core.errors import StoreMoving
from server.database.sqlite.contents import beside
from server.database.sqlite.file import connect_to_look
from server.database.sqlite.refusals import refusals
from server.database.store_state import STATE_COLUMNS, TRIGGER_MARK, StoreState, is_written

MOVE_LOCK = ".move-lock"
_MOVED = f"SELECT {STATE_COLUMNS} FROM store_state WHERE state = 'moved'"
_TRIGGER = "moved_away"


def is_being_moved(path: Path) -> bool:
    """Whether a process moves this store now."""
    with suppress(OSError):
        descriptor = os.open(beside(path, MOVE_LOCK), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False


def refusal_of(error: BaseException) -> StoreMoving | None:
    """The error for a write that a trigger of `close` has refused; None for any other error."""
    if isinstance(error, sqlite3.IntegrityError) and str(error).startswith(TRIGGER_MARK):
        return StoreMoving(str(error).removeprefix(TRIGGER_MARK))
    return None


def state_of(connection: sqlite3.Connection) -> StoreState | None:
    """The state of an open store; None if it was never moved, or is older than such states."""
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'store_state'").fetchone():
        return None
    row = connection.execute(f"SELECT {STATE_COLUMNS} FROM store_state").fetchone()
    return None if row is None else StoreState(*row)


def state_at(path: Path) -> StoreState | None:
    """The state of a store. The caller holds the write lock."""
    with refusals(path), closed(connect_to_look(path)) as connection:
        return state_of(connection)


def refuse_writes(connection: sqlite3.Connection) -> None:
    """Raise StoreMoving if the store was moved. It takes some microseconds, for each group of writes."""
    row = connection.execute(_MOVED).fetchone()
    if row is not None:
        raise StoreMoving(StoreState(*row).reason)


def set_state(connection: sqlite3.Connection, state: StoreState) -> None:
    """Write the state, in the transaction of the caller."""
    connection.execute(
        f"INSERT OR REPLACE INTO store_state (id, {STATE_COLUMNS}) VALUES (1, :state, :move_id, :place, :changed_at)",
        state._asdict(),
    )


def close(connection: sqlite3.Connection, moved: StoreState) -> None:
    """Let every write fail from now on, in the transaction of the caller."""
    reopen(connection)
    message = f"{TRIGGER_MARK}{moved.reason}".replace("'", "''")
    for table in written_tables(connection):
        for event in ("INSERT", "UPDATE", "DELETE"):
            connection.execute(
                f'CREATE TRIGGER "{_TRIGGER}_{event.lower()}_{table}" BEFORE {event} ON "{table}" '
                f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )
    set_state(connection, moved)


def reopen(connection: sqlite3.Connection) -> None:
    """Undo `close`, in the transaction of the caller."""
    sql = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name GLOB :pattern"
    for (name,) in connection.execute(sql, {"pattern": f"{_TRIGGER}_*"}).fetchall():
        connection.execute(f'DROP TRIGGER "{name}"')
    connection.execute("DELETE FROM store_state")


def written_tables(connection: sqlite3.Connection) -> list[str]:
    """The tables that are moved: not those of SQLite, nor those of the index for search."""
    rows = connection.execute(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT GLOB 'sqlite_*'"
    )
    return sorted(name for (name,) in rows if is_written(name))
