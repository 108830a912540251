"""SQLite stores that are large, or damaged in ways that only a close look finds. No server has them open."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

# Records of 16 KB, of which most is in pages that no index needs.
_RECORD_BYTES = 16_000
_FILL = """
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
INSERT INTO audit_events (seq, at, event, via, before_change, hash)
SELECT (SELECT seq FROM audit_head) + n, n, 'user_changed', 'http', hex(zeroblob({size})), printf('%064x', n)
FROM numbers
"""


def fill(path: Path, size: int) -> None:
    """Add so many bytes, and some more, to its audit log."""
    count = size // _RECORD_BYTES + 10
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(_FILL.format(count=count, size=_RECORD_BYTES // 2))


def empty_an_index(path: Path) -> str:
    """Its name. The index is made anew as one that has no rows, and then called what it was."""
    with closing(sqlite3.connect(path)) as connection:
        name, sql = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'audit_events' AND sql NOT NULL"
        ).fetchone()
    change = "UPDATE sqlite_schema SET sql = ? WHERE name = ?"
    run_sql(path, "PRAGMA writable_schema = ON", (change, f"{sql} WHERE seq < 0", name))
    run_sql(path, f"REINDEX {name}", "PRAGMA writable_schema = ON", (change, sql, name))
    return str(name)


def run_sql(path: Path, *statements: str | tuple[str, ...]) -> None:
    """Statements, each alone or with its values."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            sql, *parameters = (statement,) if isinstance(statement, str) else statement
            connection.execute(sql, parameters)
