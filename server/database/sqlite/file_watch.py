"""Checks whether the files of an open database still have their names and their length.

SQLite goes on writing to the files that it has opened. If somebody deletes, replaces or truncates one, nothing fails,
but everything written since is lost at the next start. So nothing is written until all files that were opened are back
under their names. What was truncated or overwritten stays so, and the store is not used any more.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, NoReturn

import structlog

from server.core.errors import StoreUnavailable
from server.database.sqlite.check_note import CheckNote
from server.database.sqlite.contents import LOCKS, beside, contents, has_contents, is_older, mark
from server.database.sqlite.damage import Damage
from server.database.sqlite.length import log_bytes, log_has_hole
from server.files.file_lock import LOCKED

# In bytes. SQLite usually starts the log again at 4 MB, but not while a reader uses an old snapshot.
LONGEST_LOG = 16_000_000
# The pause between attempts to empty a log that is too long.
RETRY_SECONDS = 10.0
SECOND_LOOK_SECONDS = 0.2
_CUT = "was cut off or overwritten"
_MISSING = ((0, 0), 0, 0)

_log = structlog.get_logger("watchword.store")


class _State(NamedTuple):
    """Sizes in bytes; `written_at` is the modification time of the database, in nanoseconds."""

    database: int
    written_at: int
    log: int


class FileWatch:
    """Compares the files with those that were opened. Its methods block, so they run in threads, one at a time."""

    def __init__(self, path: Path, name: Path, note: CheckNote | None = None) -> None:
        """Note the files, which must all exist. The lock files belong to them, or a second server could start.

        `name` is the path of the database in the settings, which the next start will open. `note` is for `damage`.
        """
        # Whether the store is not used any more, until a restart.
        self.is_lost = False
        self._away = False
        self.damage = Damage(path, note)
        self.path = path
        self._log_file = beside(path, "-wal")
        self._files = (path, self._log_file, beside(path, "-shm"))
        self._locks = tuple(beside(path, ending) for ending in LOCKS)
        self._opened = {file: _look_at(file)[0] for file in (*self._files, *self._locks, name)}
        self._state = self._state_now()
        self._contents = contents(path)
        self._next_try = 0.0

    @property
    def taken(self) -> bool:
        """Whether nothing can be read or written now."""
        return self.is_lost or self._away or self.damage.found

    def refusal(self) -> StoreUnavailable:
        """The error while it is taken."""
        return self.damage.refusal() if self.damage.found and not self.is_lost else StoreUnavailable()

    @property
    def amiss(self) -> bool:
        """Whether something may be wrong, so that `before_write` should check it in detail."""
        now, before = self._state_now(), self._state
        return bool(self._gone(self._opened)) or now.written_at != before.written_at or now.log < before.log

    @property
    def is_in_place(self) -> bool:
        """Whether all files that were opened have their names."""
        return not self._gone(self._opened)

    def before_write(self, connection: sqlite3.Connection) -> None:
        """Check all files, and empty a log that is too long. Call it under the write lock, outside a transaction.

        Raises StoreUnavailable, sqlite3.Error, OSError. After a file was deleted or replaced, all writes fail until it
        is back.
        """
        if self.is_lost:
            raise StoreUnavailable
        gone = self._gone(self._opened)
        if gone:
            self._save_log(connection, gone)
            self._refuse_gone(gone)
        if self._away:
            self._away = False
            _log.info("the files of the store are back")
        self.damage.check()
        self._refuse_hole()
        now, before = self._state_now(), self._state
        if now.written_at != before.written_at:
            self._check_database(shorter=now.database < before.database)
            # Who has written the log back notes it. If each process that sees it did so, it would write back what it
            # has written itself, which the others see, and each write would write the log back.
            self._state = self._state._replace(database=now.database, written_at=now.written_at)
        if now.log < before.log:
            self._check_log(connection)
            self._note_log()
        elif now.log > LONGEST_LOG and time.monotonic() >= self._next_try:
            self._next_try = time.monotonic() + RETRY_SECONDS
            with suppress(sqlite3.Error):
                _empty_log(connection)
                self._note_log()

    def after_write(self, connection: sqlite3.Connection) -> None:
        """Check again, so a write into a deleted file is not acknowledged. Raises StoreUnavailable."""
        gone = self._gone(self._files)
        if gone:
            self._refuse_gone(gone)
        self._refuse_hole()
        now, before = self._state_now(), self._state
        # If the log became shorter meanwhile, the next write checks it in detail.
        self._state = now._replace(log=max(now.log, before.log))
        if now.written_at != before.written_at:
            # The log was written back.
            self._remember()
            self._mark(connection)

    def _note_log(self) -> None:
        """The log is as long as it should be. Otherwise each later write would take it for one that was cut."""
        self._state = self._state._replace(log=_look_at(self._log_file)[1])

    def _gone(self, files: Iterable[Path]) -> list[Path]:
        return [file for file in files if _look_at(file)[0] != self._opened[file]]

    def _state_now(self) -> _State:
        _, size, written_at = _look_at(self.path)
        return _State(size, written_at, _look_at(self._log_file)[1])

    def _refuse_hole(self) -> None:
        if log_has_hole(self._log_file):
            self._give_up(self._log_file, _CUT)

    def _remember(self) -> None:
        """Note the contents of the file now."""
        before, self._contents = self._contents, contents(self.path)
        if self._contents and before and is_older(self._contents, before):
            self._give_up(self.path, _CUT)

    def _mark(self, connection: sqlite3.Connection) -> None:
        """Note them in the lock file too, if they are on the disk.

        SQLite syncs the file when all of the log was written back, which a reader can prevent. Otherwise a power
        failure could leave the note without the contents, and the next start would take the file for an older one.
        """
        # What was written is committed already, so nothing that fails here is told to anybody.
        with suppress(OSError, sqlite3.Error):
            if self._contents and _is_written_back(connection):
                mark(self.path, self._contents)

    def _check_database(self, *, shorter: bool) -> None:
        """Check a file that others have changed: they may have written the log back, or run VACUUM."""
        known = self._still_has_contents()
        if known is False:
            # Another process may just be writing the log back, so only half of it is in the file.
            time.sleep(SECOND_LOOK_SECONDS)
            known = self._still_has_contents()
        if known is False:
            self._give_up(self.path, _CUT)
        if shorter or known is None:
            self.damage.require_whole()
        self._remember()

    def _still_has_contents(self) -> bool | None:
        return has_contents(self.path, self._contents) if self._contents else None

    def _check_log(self, connection: sqlite3.Connection) -> None:
        """Check a log that became shorter. If another process emptied it by a checkpoint, a second one works too.

        A reader can prevent the second one for minutes (rest_check.py). Then its length decides.
        """
        try:
            is_whole = _empty_log(connection) or self._has_all_frames(connection)
        except sqlite3.DatabaseError as error:
            if _tells_of_a_cut(error):
                self._give_up(self._log_file, _CUT)
            raise
        if not is_whole:
            # Another program could have emptied it just now, so the check has no result yet.
            failure = StoreUnavailable()
            failure.reason = LOCKED
            raise failure

    def _has_all_frames(self, connection: sqlite3.Connection) -> bool:
        """Whether the log is as long as SQLite has written it since it was emptied."""
        _, frames, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        # -1: another connection makes a checkpoint.
        return frames >= 0 and _look_at(self._log_file)[1] >= log_bytes(frames, page_size)

    def _save_log(self, connection: sqlite3.Connection, gone: list[Path]) -> None:
        """If only the log was deleted, write its content to the database, so the next start has it."""
        if gone == [self._log_file] and _look_at(self._log_file) == _MISSING:
            with suppress(sqlite3.Error):
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def _refuse_gone(self, gone: list[Path]) -> NoReturn:
        if not self._away:
            self._away = True
            _log.error(
                "a file of the store is gone",
                reason=f"{gone[0]} was deleted, moved or replaced while it was open",
                remedy="put the same file back where it was (mv, mount), and the server goes on by itself; "
                "or restore a backup, then restart the server",
            )
        raise StoreUnavailable

    def _give_up(self, file: Path, what: str) -> NoReturn:
        self.is_lost = True
        _log.error(
            "the store is not used any more",
            reason=f"{file} {what} while it was open, so what is written could be lost",
            remedy="put the file back or restore a backup, then restart the server",
        )
        raise StoreUnavailable


def _empty_log(connection: sqlite3.Connection) -> bool:
    """Write the log back to the database and truncate it to 0 bytes; False if a reader still needs it."""
    busy: int = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return not busy


def _is_written_back(connection: sqlite3.Connection) -> bool:
    """Whether all of the log is in the database, and this is on the disk. What was not yet is written back."""
    _, in_log, written_back = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return bool(in_log == written_back)


def _tells_of_a_cut(error: sqlite3.DatabaseError) -> bool:
    # The lower byte is the kind of error.
    kinds = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return error.sqlite_errorcode & 0xFF in kinds or error.sqlite_errorcode == sqlite3.SQLITE_IOERR_SHORT_READ


def _look_at(file: Path) -> tuple[tuple[int, int], int, int]:
    """Device and inode of a file, its size, and its modification time (ns); _MISSING if it is gone. Raises OSError."""
    try:
        found = os.stat(file)  # noqa: PTH116 - it runs several times for each write, and is faster than Path.stat
    except (FileNotFoundError, NotADirectoryError):
        return _MISSING
    return (found.st_dev, found.st_ino), found.st_size, found.st_mtime_ns
