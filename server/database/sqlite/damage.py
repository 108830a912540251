"""Finds out whether a database file that is in use is damaged, once an error of SQLite says that it could be.

A file that is damaged is not used until it is whole again: each write could damage it further, and what would be lost
with it becomes more. A disk that fails to read for a moment looks the same, so the file is checked again and again.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import structlog

from server.core.errors import StoreUnavailable
from server.database.failure import DAMAGED
from server.database.sqlite.check_note import CheckNote
from server.database.sqlite.file_reading import FileReading
from server.database.sqlite.integrity import problem_in

# The pause before the next check: after one that has found damage, and after one that has found none.
_PAUSE_SECONDS = 1.0
_LONG_PAUSE_SECONDS = 60.0
# A check reads the whole file, so the pause is so many times longer.
_PAUSE_TIMES = 10

_KINDS = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT}
_log = structlog.get_logger("watchword.store")


def tells_of_damage(error: BaseException) -> bool:
    """Whether the file could be damaged. Our statements respect all constraints, so the index of one may be wrong."""
    return isinstance(error, UnicodeDecodeError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _KINDS


class Damage:
    """Whether the file is damaged. `check` blocks, so it runs in a thread, under the write lock."""

    def __init__(self, path: Path, note: CheckNote | None = None) -> None:
        """`note` is what all processes of a server know; a command has none."""
        self.found = False
        self.is_checking = False
        self._path = path
        self._reading = FileReading(path)
        self.note = note
        self._suspected = False
        self._next_check = 0.0
        # What `tell` was given, and whether it or another process has found the damage: then either may end it.
        self._told: str | None = None
        self._is_hearsay = False
        self._stopped = False

    def notice(self, error: BaseException) -> None:
        """Suspect damage, if this error tells of it."""
        self._suspected = self._suspected or tells_of_damage(error)

    def tell(self, problem: str) -> None:
        """Damage that was found beside the writes (rest_check.py). From any thread: `check` hears of it."""
        self._told = problem
        if self.note is not None:
            self.note.tell_damage(problem)

    @property
    def heard(self) -> str | None:
        """What `tell` was given, or what another process has found; None if the file was whole since."""
        return self._told or (None if self.note is None else self.note.damage)

    @property
    def is_suspected(self) -> bool:
        """Whether an error has told of damage, and the file was not read since."""
        return self._suspected

    @property
    def is_due(self) -> bool:
        """Whether `check` would do something now."""
        return self._is_to_be_read() or ((self.heard is None) == self.found and (self._is_hearsay or not self.found))

    def _is_to_be_read(self) -> bool:
        return self._suspected and time.monotonic() >= self._next_check

    def check(self) -> None:
        """Read the file, if damage is suspected. Raises StoreUnavailable if it is damaged."""
        heard = self.heard
        if heard is not None and not self.found:
            self._is_hearsay = True
            self._next_check = time.monotonic() + _PAUSE_SECONDS
            self._conclude(heard)
        elif heard is None and self._is_hearsay:
            self._conclude(None)
        if self._is_to_be_read():
            self.require_whole()
        elif self.found:
            raise self.refusal()

    def require_whole(self) -> None:
        """Read the file. Raises StoreUnavailable if it is damaged."""
        begun = time.monotonic()
        self.is_checking = True
        try:
            problem = self._problem()
        finally:
            self.is_checking = False
        if self._stopped:
            raise self.refusal()
        ended = time.monotonic()
        pause = _LONG_PAUSE_SECONDS if problem is None else _PAUSE_SECONDS
        self._next_check = ended + max(pause, _PAUSE_TIMES * (ended - begun))
        if problem is None:
            self._told = None
        if self.note is not None:
            self.note.clear() if problem is None else self.note.tell_damage(problem)
        self._conclude(problem)
        if self.found:
            self._is_hearsay = False
            raise self.refusal()

    def stop(self) -> None:
        """End a check that is under way, and begin none: the file is closed. From any thread."""
        self._stopped = True
        self._reading.interrupt()

    @staticmethod
    def refusal() -> StoreUnavailable:
        """The error while it is damaged."""
        failure = StoreUnavailable()
        failure.reason = DAMAGED
        return failure

    def _conclude(self, problem: str | None) -> None:
        if problem is None:
            self._suspected = self._is_hearsay = False
            if self.found:
                self.found = False
                _log.info("the store is whole again")
        elif not self.found:
            self.found = self._suspected = True
            _log.error(
                "the store is damaged",
                reason=f"{self._path}: {problem}",
                remedy="look at the disk, and restore a backup, then restart the server",
            )

    def _problem(self) -> str | None:
        """What is wrong."""
        try:
            with self._reading.connection() as connection:
                return None if self._stopped else problem_in(connection, "integrity_check")
        except UnicodeDecodeError:
            return "its tables can't be read"
        except sqlite3.Error as error:
            return str(error)
