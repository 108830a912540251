"""Whether the files of an open database are still there, under their names and as long as they were.

SQLite goes on with the files that it has opened, wherever they are. So if somebody deletes, replaces or cuts one, all
seems well, and the next start has lost what was written since.
"""

from __future__ import annotations

import operator
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import structlog

from server.errors import StoreUnavailable
from server.store.sqlite_file import beside, uri

# SQLite begins the log anew by itself, as a rule at 4 MB, but not beside a reader that holds on to an old state.
LONGEST_LOG = 16_000_000
# Between two tries to empty a log that is too long.
RETRY_SECONDS = 10.0
_MISSING = ((0, 0), 0)

_log = structlog.get_logger("watchword.store")


class FileWatch:
    """Knows the files that were opened. Its methods block, so they run in threads; one writes at a time."""

    def __init__(self, path: Path) -> None:
        """Look at the files, which all have to be there: the lock files too, or a second server could start."""
        self.taken = False
        self._path = path
        self._log_file = beside(path, "-wal")
        self._files = (path, self._log_file, beside(path, "-shm"))
        self._locks = tuple(beside(path, ending) for ending in (".write-lock", ".write-lock.turn", ".serve-lock"))
        self._opened = {file: _look_at(file)[0] for file in (*self._files, *self._locks)}
        self._sizes = self._sizes_now()
        self._next_try = 0.0

    @property
    def amiss(self) -> bool:
        """Whether something seems wrong, so that `before_write` had better look closer."""
        return bool(self._gone(self._opened)) or any(map(operator.lt, self._sizes_now(), self._sizes))

    def before_write(self, connection: sqlite3.Connection) -> None:
        """Look at everything, and empty a log that is too long. Under the write lock, outside a transaction.

        Raises StoreUnavailable, sqlite3.Error, OSError. Once a file was taken away there is no way back but a new
        start: who knows what was done to the files meanwhile.
        """
        if self.taken:
            raise StoreUnavailable
        gone = self._gone(self._opened)
        if gone:
            self._save_log(connection, gone)
            self._give_up(gone[0], "was deleted, moved or replaced")
        (database, log), (database_before, log_before) = self._sizes_now(), self._sizes
        if database < database_before:
            self._check_database()
        if log < log_before:
            self._check_log(connection)
        elif log > LONGEST_LOG and time.monotonic() >= self._next_try:
            self._next_try = time.monotonic() + RETRY_SECONDS
            with suppress(sqlite3.Error):
                _empty_log(connection)

    def after_write(self) -> None:
        """Look again, so that nothing is acknowledged that went into a file without a name. Raises StoreUnavailable."""
        gone = self._gone(self._files)
        if gone:
            self._give_up(gone[0], "was deleted, moved or replaced")
        self._sizes = self._sizes_now()

    def _gone(self, files: Iterable[Path]) -> list[Path]:
        return [file for file in files if _look_at(file)[0] != self._opened[file]]

    def _sizes_now(self) -> tuple[int, int]:
        return _look_at(self._path)[1], _look_at(self._log_file)[1]

    def _check_database(self) -> None:
        """It gets shorter after a VACUUM too. A new connection has none of its pages in memory."""
        with (
            self._noticing_cuts(self._path),
            closing(sqlite3.connect(uri(self._path, "mode=ro"), uri=True, isolation_level=None)) as connection,
        ):
            if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                self._give_up(self._path, "was cut off or overwritten")

    def _check_log(self, connection: sqlite3.Connection) -> None:
        """Somebody may have emptied it as one should. Then doing it again finds nothing amiss."""
        with self._noticing_cuts(self._log_file):
            if not _empty_log(connection):
                # A reader is in the way, so this is not known yet.
                raise StoreUnavailable

    @contextmanager
    def _noticing_cuts(self, file: Path) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            # The lower byte is the kind of error.
            kinds = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
            if error.sqlite_errorcode & 0xFF in kinds or error.sqlite_errorcode == sqlite3.SQLITE_IOERR_SHORT_READ:
                self._give_up(file, "was cut off or overwritten")
            raise

    def _save_log(self, connection: sqlite3.Connection, gone: list[Path]) -> None:
        """If only the name of the log is gone, write what is in it to the database, which the next start reads."""
        if gone == [self._log_file] and _look_at(self._log_file) == _MISSING:
            with suppress(sqlite3.Error):
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def _give_up(self, file: Path, what: str) -> NoReturn:
        self.taken = True
        _log.error(
            "the store is not used any more",
            reason=f"{file} {what} while it was open, so what is written could be lost",
            remedy="put the file back or restore a backup, then restart the server",
        )
        raise StoreUnavailable


def _empty_log(connection: sqlite3.Connection) -> bool:
    """Write the log to the database and make it a file of no bytes; False if a reader still needs it."""
    busy: int = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return not busy


def _look_at(file: Path) -> tuple[tuple[int, int], int]:
    """What a file is, whatever it is called, and its size. Raises OSError if that can't be told."""
    try:
        found = os.stat(file)  # noqa: PTH116 - this is done several times for each write
    except (FileNotFoundError, NotADirectoryError):
        return _MISSING
    return (found.st_dev, found.st_ino), found.st_size
