"""Locks on an SQLite store, as other programs hold them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from server.database.sqlite.contents import beside
from server.files.file_lock import FileLock


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
