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

WITHOUT_LOG = "mode=ro&immutable=1"
_CONTENTS = "SELECT (SELECT applied_at FROM schema_migrations WHERE version = 1), seq, hash FROM audit_head"
_HAS_CONTENTS = (
    "SELECT 1 FROM schema_migrations WHERE version = 1 AND applied_at = ?1 "
    "AND (?2 = 0 OR EXISTS (SELECT 1 FROM audit_events WHERE seq = ?2 AND hash = ?3))"
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


def contents(path: Path, options: str = WITHOUT_LOG) -> Contents | None:
    """What is in the file. None if it can't be told: it is of an older program, or the log has a part of it."""
    with suppress(sqlite3.DatabaseError), _connected(path, options) as connection:
        return Contents(*connection.execute(_CONTENTS).fetchone())
    return None


def has_contents(path: Path, known: Contents, options: str = WITHOUT_LOG) -> bool | None:
    """Whether it is still in the file, perhaps with more. None if it can't be told."""
    with suppress(sqlite3.DatabaseError), _connected(path, options) as connection:
        return connection.execute(_HAS_CONTENTS, known).fetchone() is not None
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


def log_is_foreign(path: Path) -> bool:
    """Whether there is a log that was not left with this file, since one of the two was replaced. Raises OSError."""
    if not has_log(path):
        return False
    in_file, marked = contents(path), _marked(path)
    if in_file is None:
        # The log was being written back when the server was killed.
        return False
    if marked and (in_file.made_at != marked.made_at or in_file.records < marked.records):
        return True
    together = contents(path, "mode=ro")
    return together is not None and (
        together.records < in_file.records or has_contents(path, in_file, "mode=ro") is False
    )


def _marked(path: Path) -> Contents | None:
    with suppress(FileNotFoundError):
        found = _MARK.fullmatch(beside(path, ".write-lock").read_text("ascii", "replace"))
        if found:
            return Contents(int(found[1]), int(found[2]), found[3].replace("-", ""))
    return None


@contextmanager
def _connected(path: Path, options: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(uri(path, options), uri=True, isolation_level=None, timeout=5)) as connection:
        yield connection
