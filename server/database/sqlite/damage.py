"""Finds out whether a database file that is in use is damaged, once an error of SQLite says that it could be.

A file that is damaged is not used until it is whole again: each write could damage it further, and what would be lost
with it becomes more. A disk that fails to read for a moment looks the same, so the file is checked again and again.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import structlog

from server.core.errors import StoreUnavailable
from server.database.failure import DAMAGED
from server.database.sqlite.contents import uri
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

    def __init__(self, path: Path) -> None:
        self.found = False
        self._path = path
        self._suspected = False
        self._next_check = 0.0

    def notice(self, error: BaseException) -> None:
        """Suspect damage, if this error tells of it."""
        self._suspected = self._suspected or tells_of_damage(error)

    @property
    def is_due(self) -> bool:
        """Whether `check` would do something now."""
        return self._suspected and time.monotonic() >= self._next_check

    def check(self) -> None:
        """Read the file, if damage is suspected. Raises StoreUnavailable if it is damaged."""
        if self.is_due:
            self.require_whole()
        elif self.found:
            raise self.refusal()

    def require_whole(self) -> None:
        """Read the file. Raises StoreUnavailable if it is damaged."""
        begun = time.monotonic()
        problem = self._problem()
        ended = time.monotonic()
        pause = _LONG_PAUSE_SECONDS if problem is None else _PAUSE_SECONDS
        self._next_check = ended + max(pause, _PAUSE_TIMES * (ended - begun))
        self._note(problem)
        if self.found:
            raise self.refusal()

    @staticmethod
    def refusal() -> StoreUnavailable:
        """The error while it is damaged."""
        failure = StoreUnavailable()
        failure.reason = DAMAGED
        return failure

    def _note(self, problem: str | None) -> None:
        if problem is None:
            self._suspected = False
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
        """What is wrong. It is read by a new connection, since an old one has pages in memory."""
        try:
            with closing(sqlite3.connect(uri(self._path, "mode=ro"), uri=True, isolation_level=None)) as connection:
                return problem_in(connection, "integrity_check")
        except UnicodeDecodeError:
            return "its tables can't be read"
        except sqlite3.Error as error:
            return str(error)
