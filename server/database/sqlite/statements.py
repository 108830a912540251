"""Parameters of statements, and kinds of their errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any


def bound(parameters: Sequence[Any]) -> dict[str, Any]:
    """Parameters for `$1`, `$2` …, which are named parameters for SQLite."""
    return {str(number): value for number, value in enumerate(parameters, 1)}


def is_unavailable(error: BaseException) -> bool:
    """Whether the file or the disk caused the error. Other errors of sqlite3 are defects of our statement.

    A violated constraint is not a defect: our statements respect all constraints of our tables. So an index is damaged,
    or somebody has added a constraint. The message of an error that quotes a damaged file is perhaps not UTF-8.
    """
    defects = (sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.NotSupportedError)
    return isinstance(error, sqlite3.DatabaseError | OSError | UnicodeDecodeError) and not isinstance(error, defects)


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection holds a lock. The lower byte of the error code is its kind."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
