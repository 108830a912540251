"""What SQLite's own checks of a file say, in one line."""

from __future__ import annotations

import sqlite3
from typing import Literal

Check = Literal["quick_check", "integrity_check"]


def problem_in(connection: sqlite3.Connection, check: Check) -> str | None:
    """The first thing that is wrong with the file, if something is. Both read all pages, about a second per gigabyte.

    Only "integrity_check" compares indexes with their tables, which takes some times as long. Raises sqlite3.Error.
    """
    said = str(connection.execute(f"PRAGMA {check}(1)").fetchone()[0])
    if said == "ok":
        return None
    lines = said.splitlines()
    # The first line may be a heading.
    return next((line for line in lines if line and not line.startswith("***")), lines[0] if lines else "unknown")
