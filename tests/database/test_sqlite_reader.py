"""The connections that read a SQLite file leave nothing behind."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from server.database.sqlite.connections import connect_reader
from server.database.sqlite.driver import SqliteDriver
from server.database.sqlite.reader import ReadingConnection


@pytest.fixture
async def store(tmp_path: Path) -> Path:
    path = tmp_path / "watchword.db"
    driver = await SqliteDriver.open(path, serving=True)
    await driver.close()
    return path


async def test_reads_leave_no_references_to_cursors(store: Path) -> None:
    made: list[None] = []

    class Counted(ReadingConnection):
        def cursor(self, *args: Any) -> Any:
            made.append(None)
            return super().cursor(*args)

    with closing(sqlite3.connect(store, factory=Counted)) as connection:
        for number in range(3):
            assert connection.execute("SELECT $1 UNION ALL SELECT 5", {"1": number}).fetchall() == [(number,), (5,)]
            with pytest.raises(sqlite3.OperationalError):
                connection.execute("SELECT nothing")
        assert len(made) == 1


async def test_a_row_that_cannot_be_read_holds_no_transaction(store: Path) -> None:
    connection = await connect_reader(store)
    broken = "SELECT CAST(x'ff' AS TEXT) FROM schema_migrations"
    with pytest.raises(sqlite3.OperationalError, match="decode"):
        await connection.execute_fetchall(broken)
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("PRAGMA user_version = 99")
        # 0: it was not busy, so nobody reads what was before.
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    assert [tuple(row) for row in await connection.execute_fetchall("PRAGMA user_version")] == [(99,)]
    await connection.close()
