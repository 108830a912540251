"""Messages that say in one line why a database file can't be used, and what to do."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from server.core.errors import StoreRefused
from server.database.sqlite.contents import beside
from server.database.sqlite.statements import is_busy
from server.database.store_state import TRIGGER_MARK
from server.files.file_lock import LOCKED
from server.files.ownership import why_denied

# The room that the -shm file and some writes need.
_LEAST_BYTES = 64 * 1024


def damaged(path: Path, reason: str) -> StoreRefused:
    """The error for a file that SQLite can't read correctly."""
    return StoreRefused(f"{path} is damaged or no SQLite database ({reason}); restore a backup, or move the file away")


def refuse_denied(path: Path) -> None:
    """Raise StoreRefused if this user can't write to the files: SQLite would open them only for reading."""
    reason = _why_denied_near(path)
    if reason is not None:
        raise StoreRefused(reason)


def _why_denied_near(path: Path) -> str | None:
    return why_denied([path, *(beside(path, ending) for ending in ("-wal", "-shm", "-journal"))])


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the file system into StoreRefused with a message of one line."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if is_busy(error):
            raise StoreRefused(f"{path} can't be used: {LOCKED}; close it there") from error
        raise StoreRefused(_why_denied_near(path) or _unusable(path, str(error))) from error
    except sqlite3.DatabaseError as error:
        if str(error).startswith(TRIGGER_MARK):
            raise StoreRefused(str(error).removeprefix(TRIGGER_MARK)) from error
        raise damaged(path, str(error)) from error
    except UnicodeDecodeError as error:
        # The message of an error quotes a table that is damaged.
        raise damaged(path, "its tables can't be read") from error
    except OSError as error:
        reason = _unusable(Path(error.filename or path), str(error.strerror))
        raise StoreRefused(_why_denied_near(path) or reason) from error


def _unusable(path: Path, reason: str) -> str:
    with suppress(OSError):
        disk = os.statvfs(path.parent)
        if disk.f_bavail * disk.f_frsize < _LEAST_BYTES:
            return f"{path} can't be used ({reason}): the disk is full; make room"
    return f"{path} can't be used ({reason}); check the disk, and what stands beside the file"
