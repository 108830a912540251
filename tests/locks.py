"""Locks on a store, as other programs hold them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from server.database.sqlite.contents import beside
from server.files.file_lock import FileLock

# How many sessions of a PostgreSQL database wait for a lock. The server of the tests has other databases, too, and some
# locks belong to none. (pg_stat_activity does not change within a transaction.)
POSTGRES_WAITS = """
    SELECT count(*) FROM pg_locks AS wanted WHERE NOT granted AND EXISTS (
        SELECT FROM pg_locks AS held JOIN pg_database ON pg_database.oid = held.database
        WHERE held.pid = wanted.pid AND datname = current_database()
    )
"""


@contextmanager
def lock_file(path: Path, suffix: str) -> Iterator[None]:
    """A lock file beside the store, as a command holds it that was stopped, or a person with flock(1)."""
    with closing(FileLock(beside(path, suffix))) as lock:
        assert lock.try_acquire()
        yield


@contextmanager
def write_lock(path: Path) -> Iterator[None]:
    with lock_file(path, ".write-lock"):
        yield


@contextmanager
def sqlite_lock(path: Path) -> Iterator[None]:
    """As a person holds it at SQLite's command line."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
