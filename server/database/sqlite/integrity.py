"""What SQLite's own checks of a file say, in one line."""

from __future__ import annotations

import sqlite3
from typing import Literal

Check = Literal["quick_check", "integrity_check"]


def problem_in(connection: sqlite3.Connection, check: Check, table: str | None = None) -> str | None:
    """The first thing that is wrong with the file, if something is. Both read all pages, about a second per gigabyte.

    Only "integrity_check" compares indexes with their tables, which takes many times as long. With `table` only that
    table and its indexes are looked at. Raises sqlite3.Error, UnicodeDecodeError.
    """
    what = "1" if table is None else "'{}'".format(table.replace("'", "''"))
    said = str(connection.execute(f"PRAGMA {check}({what})").fetchone()[0])
    if said == "ok":
        return None
    lines = said.splitlines()
    # The first line may be a heading.
    return next((line for line in lines if line and not line.startswith("***")), lines[0] if lines else "unknown")


def tables(connection: sqlite3.Connection) -> list[str]:
    """The tables that have pages. Raises sqlite3.Error, UnicodeDecodeError."""
    sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY rootpage"
    return [name for (name,) in connection.execute(sql)]
