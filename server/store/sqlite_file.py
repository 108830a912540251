"""A SQLite file before it is served: made, examined, migrated."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from server.errors import StoreRefused
from server.store.migrate import CREATE_TABLE, Applied, pending
from server.store.migrations import Migration, migrations

# "Wtch": says in the file's header whose it is (SQLite file format, section 1.3).
APPLICATION_ID = 0x57746368
BUSY_SECONDS = 10.0


def sqlite_path(url: str) -> Path:
    """`sqlite:///relative/path` or `sqlite:////absolute/path`."""
    return Path(url.removeprefix("sqlite:///"))


def make_file(path: Path) -> None:
    """An empty file that its owner alone can read; SQLite gives its companions the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def pending_migrations(path: Path) -> list[Migration]:
    """What `migrate` would apply. Changes nothing; a file that is not there needs everything."""
    if not path.exists():
        return migrations("sqlite")
    connection = _connect(path, "ro")
    try:
        return pending(migrations("sqlite"), _examine(connection, path))
    except sqlite3.DatabaseError as error:
        raise _damaged(path, error) from None
    finally:
        connection.close()


def migrate_file(path: Path, now_ms: int) -> list[Migration]:
    """Examine the file and bring it up to date. The caller holds the write lock.

    Raises StoreRefused for a file that is newer, foreign or damaged; then nothing in it was changed.
    """
    connection = _connect(path, "rw")
    try:
        todo = pending(migrations("sqlite"), _examine(connection, path))
        if todo:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        for migration in todo:
            _apply(connection, migration, now_ms)
    except sqlite3.DatabaseError as error:
        raise _damaged(path, error) from None
    finally:
        connection.close()
    return todo


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    try:
        return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    except sqlite3.DatabaseError as error:
        raise StoreRefused(f"{path} can't be opened ({error}); check the path and its permissions") from None


def _examine(connection: sqlite3.Connection, path: Path) -> list[Applied]:
    """Whose file is it, is it whole, and what was applied to it."""
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if objects == 0:
        return []
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    if application_id != APPLICATION_ID:
        raise StoreRefused(f"{path} is a database of another program; set store.url to another file")
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _damaged(path, verdict)
    rows = connection.execute("SELECT version, name, sha256 FROM schema_migrations ORDER BY version").fetchall()
    return [Applied(*row) for row in rows]


def _damaged(path: Path, reason: object) -> StoreRefused:
    first_line = str(reason).partition("\n")[0]
    return StoreRefused(f"{path} is damaged or no database ({first_line}); restore it from a backup")


def _apply(connection: sqlite3.Connection, migration: Migration, now_ms: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if migration.version == 1:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(CREATE_TABLE)
        for statement in _statements(migration.sql):
            connection.execute(statement)
        row = (migration.version, migration.name, migration.sha256, now_ms)
        connection.execute("INSERT INTO schema_migrations VALUES (?, ?, ?, ?)", row)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    """Split where SQLite says that a statement is complete; `executescript` would end our transaction."""
    statements = []
    current = ""
    for line in script.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    return statements
