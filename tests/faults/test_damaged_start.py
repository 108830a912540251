"""Servers and commands on a store that is damaged, newer, or can't be changed: one line says so, and what to do."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from server.database.migration_files import latest_migration
from server.database.sqlite.contents import beside
from server.database.sqlite.serving import MOST_BYTES_AT_START
from tests.faults.disks import disk_in_a_file, flip, immutable
from tests.in_process import run as run_here
from tests.process.clients import until
from tests.process.server_process import ServerProcess, run, serving
from tests.spoilt_stores import empty_an_index, fill, run_sql
from tests.volume import IS_FULL

PAGE = 4096


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _no_database(path: Path) -> None:
    path.write_text("This is no database, whatever its name says.\n" * 100, "utf-8")


def _a_page_in_the_middle(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // PAGE // 2 * PAGE)
        file.write(random.Random(1).randbytes(PAGE))


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        number = latest_migration("sqlite") + 1
        connection.execute(
            "INSERT INTO schema_migrations (version, name, sha256, applied_at, needs) VALUES (?, 'later', 'x', 1, ?)",
            [number, number],
        )
        connection.execute(f"PRAGMA user_version = {number}")


def _another_edition(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE schema_migrations SET sha256 = 'x' WHERE version = 5")


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "header": (lambda path: flip(path, 3), "is damaged or no SQLite database"),
    "a page in the middle": (_a_page_in_the_middle, "is damaged or no SQLite database"),
    "truncated": (lambda path: os.truncate(path, 3 * PAGE), "pages that are missing"),
    "empty": (_empty, "pages that are missing"),
    "no database": (_no_database, "is damaged or no SQLite database"),
    "newer": (_newer, "newer than this program"),
    "another edition": (_another_edition, "made by another edition of migration"),
    "gone": (Path.unlink, "is gone, but what belongs to it is here"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store that a server has left."""
    folder = tmp_path_factory.mktemp("whole")
    with serving(folder) as server:
        assert server.stop() == 0
    return folder


@pytest.mark.parametrize("how", REFUSED if IS_FULL else ["a page in the middle"])
@pytest.mark.parametrize("workers", ["1", "2"] if IS_FULL else ["1"])
def test_a_server_says_in_one_line_why_it_does_not_start(whole: Path, tmp_path: Path, how: str, workers: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(whole, folder)
    (store,) = folder.rglob("watchword.db")
    spoil, said = REFUSED[how]
    spoil(store)
    ended = run(folder, "serve", WATCHWORD__SERVER__WORKERS=workers)
    assert ended.returncode == 1
    errors = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    assert len(errors) == 1, ended.stderr
    assert errors[0].startswith("store: ")
    assert said in errors[0]


@pytest.mark.skipif(not IS_FULL, reason="takes some seconds: make faults")
@pytest.mark.parametrize("ending", ["", "-wal", ".write-lock", ".key"])
def test_a_file_that_nobody_may_change_is_named_with_the_remedy(whole: Path, tmp_path: Path, ending: str) -> None:
    command = ("keys", "rewrap") if ending == ".key" else ("serve",)
    with disk_in_a_file(tmp_path / "disk", 16) as disk:
        folder = disk.folder / "copy"
        shutil.copytree(whole, folder)
        (store,) = folder.rglob("watchword.db")
        file = beside(store, ending)
        file.touch()
        with immutable(file):
            ended = run(folder, *command)
            told = run_here(folder, "doctor")
    assert ended.returncode == 1
    remedy = f"{file} is immutable, so nobody can change it; run as root: chattr -i {file}"
    assert ended.stderr == f"store: {remedy}\n"
    if ending != ".key":
        assert told.returncode == 1
        assert "is immutable" in told.stdout


def test_an_index_that_disagrees_with_its_table_is_told_by_doctor_and_by_backup(whole: Path, tmp_path: Path) -> None:
    """A start does not compare all indexes: that takes some times as long as to read the file."""
    folder = tmp_path / "copy"
    shutil.copytree(whole, folder)
    (store,) = folder.rglob("watchword.db")
    name = empty_an_index(store)
    told = run_here(folder, "doctor")
    assert told.returncode == 1
    assert f"index {name}" in told.stdout
    copied = run_here(folder, "store", "backup", "copy.db")
    assert copied.returncode == 1
    assert "the copy is damaged, and so probably the store is" in copied.stderr
    assert not (folder / "copy.db").exists()
    # As docs/reliability.md says.
    run_sql(store, "REINDEX")
    assert run_here(folder, "doctor").returncode == 0
    assert run_here(folder, "store", "backup", "copy.db").returncode == 0


@pytest.mark.parametrize("workers", ["1", "2"] if IS_FULL else ["2"])
async def test_damage_far_inside_a_large_store_is_noticed_after_the_start_and_refused_by_the_next(
    whole: Path, tmp_path: Path, workers: str
) -> None:
    """No request reads the page: it belongs to a record of the audit log."""
    folder = tmp_path / "copy"
    shutil.copytree(whole, folder)
    (store,) = folder.rglob("watchword.db")
    fill(store, MOST_BYTES_AT_START)
    settings = {"WATCHWORD__SERVER__WORKERS": workers, "WATCHWORD__LOGS__REQUESTS": "false"}
    with serving(folder, log_to=None, module="server", **settings) as server:
        await until(lambda: "the store was checked" in server.log())
        assert server.call("GET", "/health/ready")[0] == 200
        assert server.stop() == 0
        assert _lines(server.log(), "the store was checked") == 1
    _a_page_in_the_middle(store)
    with serving(folder, log_to=None, module="server", **settings) as server:
        await until(lambda: _lines(server.log(), "the store is damaged") == int(workers))
        # Each worker says so, within the second for which an answer holds.
        await until(lambda: {_readiness(server) for _ in range(8)} == {(503, "store_damaged")})
        assert server.call("GET", "/health/live")[0] == 200
        assert server.stop() == 0
        assert _lines(server.log(), "the store was checked") == 0
    for _ in range(2):
        ended = run(folder, "serve", **settings)
        assert ended.returncode == 1
        assert "is damaged or no SQLite database" in ended.stderr


def _readiness(server: ServerProcess) -> tuple[int, str]:
    status, body = server.call("GET", "/health/ready")
    return status, body.get("reason", "")


def _lines(log: str, event: str) -> int:
    return sum(event in line for line in log.splitlines())
