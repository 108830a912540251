"""Why a database file can't be used, in one line, with a remedy."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from server.core.errors import StoreRefused
from server.database.sqlite.contents import beside
from server.database.sqlite.statements import is_busy
from server.files.file_lock import LOCKED
from server.files.ownership import why_denied

# What the file beside a log takes that shares it between processes, and some writes.
_LEAST_BYTES = 64 * 1024


def damaged(path: Path, reason: str) -> StoreRefused:
    """The refusal of what SQLite can't read as it should."""
    return StoreRefused(f"{path} is damaged or no SQLite database ({reason}); restore a backup, or move the file away")


def refuse_denied(path: Path) -> None:
    """Raise StoreRefused, with owner and remedy, for what this user can't read and write: SQLite would only read it."""
    reason = _why_denied_near(path)
    if reason is not None:
        raise StoreRefused(reason)


def _why_denied_near(path: Path) -> str | None:
    return why_denied([path, *(beside(path, ending) for ending in ("-wal", "-shm", "-journal"))])


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Says in one line what SQLite or the system objects to. Raises StoreRefused."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if is_busy(error):
            raise StoreRefused(f"{path} can't be used: {LOCKED}; close it there") from error
        raise StoreRefused(_why_denied_near(path) or _unusable(path, str(error))) from error
    except sqlite3.DatabaseError as error:
        raise damaged(path, str(error)) from error
    except OSError as error:
        reason = _unusable(Path(error.filename or path), str(error.strerror))
        raise StoreRefused(_why_denied_near(path) or reason) from error


def _unusable(path: Path, reason: str) -> str:
    with suppress(OSError):
        disk = os.statvfs(path.parent)
        if disk.f_bavail * disk.f_frsize < _LEAST_BYTES:
            return f"{path} can't be used ({reason}): the disk is full; make room"
    return f"{path} can't be used ({reason}); check the disk, and what stands beside the file"
