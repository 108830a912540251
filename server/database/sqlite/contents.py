"""What tells an SQLite store from others and from older copies of itself, and what its lock file remembers of that.

SQLite takes whatever log lies beside a file for the file's own, and mixes the two. Inodes do not tell whose it is: a
whole folder may be restored or moved, and a new file gets the inode of one that was deleted. But audit records are only
ever added.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

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
    """A file that belongs to the database, such as `watchword.db-wal`."""
    return path.with_name(path.name + ending)


def uri(path: Path, options: str) -> str:
    """The path with SQLite's options, whatever characters are in it."""
    return f"{path.absolute().as_uri()}?{options}"


def has_log(path: Path) -> bool:
    """Whether there is a log with something in it."""
    log = beside(path, "-wal")
    return log.exists() and log.stat().st_size > 0


def contents(path: Path) -> Contents | None:
    """What is in the file without its log. None if it can't be told: it is of an older program, or partly written."""
    with suppress(sqlite3.DatabaseError), _without_log(path) as connection:
        return _contents(connection)
    return None


def is_older(found: Contents, known: Contents) -> bool:
    """Whether this is an older copy of what is known, or another store."""
    return found.made_at != known.made_at or found.records < known.records


def has_contents(path: Path, known: Contents) -> bool | None:
    """Whether it is still in the file, perhaps with more. None if it can't be told."""
    with suppress(sqlite3.DatabaseError), _without_log(path) as connection:
        return _has_contents(connection, known)
    return None


def mark(path: Path, found: Contents | None) -> None:
    """Remember in the lock file that there is a store, and what is in its file without the log. Raises OSError."""
    about = f": {found.made_at} {found.records} {found.hash or '-'}" if found else ""
    content = f"A store was made here{about}\n".encode()
    # Never empty on the way, or it would be no mark.
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    with os.fdopen(os.open(beside(path, ".write-lock"), flags, 0o600), "r+b") as lock:
        if lock.read() != content:
            lock.seek(0)
            lock.write(content)
            lock.truncate()


def was_replaced(path: Path) -> bool:
    """Whether the file is another one, or an older copy, than that which was here last. Raises OSError."""
    in_file, marked = contents(path), _marked(path)
    if in_file is None or marked is None:
        return False
    return is_older(in_file, marked)


def log_fits(path: Path, connection: sqlite3.Connection) -> bool:
    """Whether the file with its log, as the connection sees it, has what the file alone has. Raises sqlite3.Error."""
    in_file = contents(path)
    if in_file is None:
        # The log was being written back when the server was killed.
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
