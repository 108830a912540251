"""Distinguishes an SQLite store from other stores and from older copies of itself; the lock file keeps a note of it.

SQLite uses any log that lies beside a database file, even if it belongs to another file, and mixes the two. Inodes do
not show whether they belong together: a whole folder may be restored or moved, and a new file may get the inode of a
deleted one. So the audit records are compared, since records are only added.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

# The lock files beside a database.
LOCKS = (".write-lock", ".write-lock.turn", ".serve-lock")

_CONTENTS = "SELECT (SELECT applied_at FROM schema_migrations WHERE version = 1), seq, hash FROM audit_head"
_HAS_CONTENTS = (
    "SELECT 1 FROM schema_migrations WHERE version = 1 AND applied_at = :made_at "
    "AND (:records = 0 OR EXISTS (SELECT 1 FROM audit_events WHERE seq = :records AND hash = :hash))"
)
_MARK = re.compile(r"A store was made here: ([0-9]{1,15}) ([0-9]{1,15}) ([0-9a-f]{64}|-)\n")


class Contents(NamedTuple):
    """When the store was made, in epoch milliseconds; number and hash of its last audit record."""

    made_at: int
    records: int
    hash: str


def beside(path: Path, ending: str) -> Path:
    """The path of a file that belongs to the database, such as `watchword.db-wal`."""
    return path.with_name(path.name + ending)


def uri(path: Path, options: str) -> str:
    """A `file:` URI of the path with options of SQLite; special characters are encoded."""
    return f"{path.absolute().as_uri()}?{options}"


def has_log(path: Path) -> bool:
    """Whether there is a log that is not empty."""
    log = beside(path, "-wal")
    return log.exists() and log.stat().st_size > 0


def contents(path: Path) -> Contents | None:
    """The contents of the file without its log. None if they can't be read: its tables are older or partly written."""
    with suppress(sqlite3.DatabaseError, UnicodeDecodeError), _without_log(path) as connection:
        return _contents(connection)
    return None


def is_older(found: Contents, known: Contents) -> bool:
    """Whether `found` is an older copy of `known`, or another store."""
    return found.made_at != known.made_at or found.records < known.records


def has_contents(path: Path, known: Contents) -> bool | None:
    """Whether the file still has these contents, perhaps with later records. None if it can't be read."""
    with suppress(sqlite3.DatabaseError, UnicodeDecodeError), _without_log(path) as connection:
        return _has_contents(connection, known)
    return None


def mark(path: Path, found: Contents | None) -> None:
    """Note in the lock file that there is a store, with the contents of its file without the log. Raises OSError."""
    about = f": {found.made_at} {found.records} {found.hash or '-'}" if found else ""
    content = f"A store was made here{about}\n".encode()
    # Written over the old text, so the file is never empty: empty means that there was no store.
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    with os.fdopen(os.open(beside(path, ".write-lock"), flags, 0o600), "r+b") as lock:
        if lock.read() != content:
            lock.seek(0)
            lock.write(content)
            lock.truncate()


def was_complete(path: Path) -> bool:
    """Whether the lock file says that there is a store."""
    lock = beside(path, ".write-lock")
    return lock.exists() and lock.stat().st_size > 0


def was_replaced(path: Path) -> bool:
    """Whether the file is another store, or an older copy, than the lock file says. Raises OSError."""
    in_file, marked = contents(path), _marked(path)
    if in_file is None or marked is None:
        return False
    return is_older(in_file, marked)


def log_fits(path: Path, connection: sqlite3.Connection) -> bool:
    """Whether the file with its log, as the connection reads it, has all records of the file. Raises sqlite3.Error."""
    in_file = contents(path)
    if in_file is None:
        # The server was killed while the log was written back.
        return True
    return _contents(connection).records >= in_file.records and _has_contents(connection, in_file)


def _marked(path: Path) -> Contents | None:
    with suppress(FileNotFoundError):
        found = _MARK.fullmatch(beside(path, ".write-lock").read_text("ascii", "replace"))
        if found:
            return Contents(int(found[1]), int(found[2]), found[3].replace("-", ""))
    return None


def _contents(connection: sqlite3.Connection) -> Contents:
    return Contents(*connection.execute(_CONTENTS).fetchone())


def _has_contents(connection: sqlite3.Connection, known: Contents) -> bool:
    return connection.execute(_HAS_CONTENTS, known._asdict()).fetchone() is not None


@contextmanager
def _without_log(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(uri(path, "mode=ro&immutable=1"), uri=True, isolation_level=None)) as connection:
        yield connection
