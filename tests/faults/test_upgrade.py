"""Stores of earlier versions are brought up to date, and an upgrade that is cut short is done by the next start."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from server.app import open_services
from server.core.client import Client
from server.database.migration_files import migrations
from server.database.sqlite import migrate as sqlite_migrate
from server.users.model import UserFilter
from tests.environment import environment
from tests.faults.disks import Disk, disk_in_memory
from tests.figures import Figures
from tests.in_process import run
from tests.records import id_of
from tests.running import settings_with
from tests.volume import IS_FULL

ALL = migrations("sqlite")
PASSWORD = "brown otters juggle turnips"
USERS = 3000
ROUNDS = 12
# How large the log becomes.
LOG_BYTES = 2_000_000
# Columns that the table has had from the first version on.
_INSERT = (
    "INSERT INTO users (id, username, username_key, name, search_text, role, password_hash, password_changed_at, "
    "created_at, updated_at) VALUES (:id, :name, :name, 'A user', :name || ' a user', 'customer', :hash, 1, 1, 1)"
)


def store_at(path: Path, level: int, users: int, password_hash: str) -> None:
    """A store as the program made it that knew so many migrations."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    sqlite_migrate.apply(path, ALL[:level])
    rows = [{"id": id_of(n), "name": f"user{n}", "hash": password_hash} for n in range(users)]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA trusted_schema = ON")
        connection.executemany(_INSERT, rows)
        connection.commit()


@pytest.fixture(scope="module")
def password_hash() -> str:
    from server.passwords.hasher import Hasher  # noqa: PLC0415 - it costs a hash

    return Hasher(4).hash(PASSWORD)


@pytest.mark.parametrize("level", range(1, len(ALL)) if IS_FULL else [1])
async def test_a_store_of_any_earlier_version_is_brought_up_to_date(
    path: Path, url: str, level: int, password_hash: str
) -> None:
    store_at(path, level, 50, password_hash)
    async with open_services(settings_with(url), serving=True) as services:
        async with services.authentication.log_in("user7", PASSWORD, "192.0.2.1") as authenticated:
            await services.sessions.open(authenticated, Client("192.0.2.1", "test"))
        found = await services.users.list(UserFilter(100, text="user4"))
        assert {user.username for user in found} == {"user4", *(f"user{n}" for n in range(40, 50))}
        await services.audit.verify()
    _require_whole(path, 50)
    assert _level(path) == len(ALL)


def _level(path: Path) -> int:
    """How many migrations the store knows of. Each is there with all that belongs to it."""
    with closing(sqlite3.connect(path)) as connection:
        applied = [row[0] for row in connection.execute("SELECT version FROM schema_migrations ORDER BY version")]
        assert applied == list(range(1, len(applied) + 1))
        assert connection.execute("PRAGMA user_version").fetchone() == (len(applied),)
        return len(applied)


def _require_whole(path: Path, users: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (users,)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory, password_hash: str) -> Path:
    folder = tmp_path_factory.mktemp("old") / "store"
    store_at(folder / "watchword.db", 1, USERS, password_hash)
    return folder


def _settings(path: Path) -> dict[str, str]:
    return {"WATCHWORD__STORE__URL": f"sqlite:///{path}"}


@pytest.mark.skipif(not IS_FULL, reason="takes some seconds: make faults")
def test_an_upgrade_that_is_killed_at_any_moment_is_done_by_the_next(
    old: Path, tmp_path: Path, figures: Figures
) -> None:
    levels = [_killed_and_done(old, tmp_path / f"seed{seed}", seed) for seed in range(ROUNDS)]
    half_way = sum(1 < level < len(ALL) for level in levels)
    figures.told("store, upgrades that were killed and then done", f"{ROUNDS}, {half_way} of them half way")


def _killed_and_done(old: Path, folder: Path, seed: int) -> int:
    """The level at which the kill has left it."""
    path = folder / "store" / "watchword.db"
    shutil.copytree(old, path.parent)
    with subprocess.Popen(
        [sys.executable, "-m", "server", "migrate"],
        cwd=folder,
        env=environment(**_settings(path)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        # It grows while it migrates, and is at rest before and afterwards.
        log, wanted = path.with_name("watchword.db-wal"), random.Random(seed).randrange(1, LOG_BYTES)
        while process.poll() is None and not (log.exists() and log.stat().st_size >= wanted):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    level = _level(path)
    _require_whole(path, USERS)
    again = run(folder, "migrate", **_settings(path))
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.count("applied") == len(ALL) - level
    _require_whole(path, USERS)
    assert run(folder, "audit", "verify", **_settings(path)).returncode == 0
    return level


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with disk_in_memory(tmp_path / "disk", 20_000) as disk:
        yield disk


@pytest.mark.parametrize("room", [8192, 60_000, 100_000, 300_000, 500_000, 1_000_000] if IS_FULL else [500_000])
def test_an_upgrade_on_a_disk_that_becomes_full_leaves_a_store_that_is_whole(
    old: Path, tmp_path: Path, disk: Disk, room: int
) -> None:
    shutil.copy(old / "watchword.db", disk.store)
    disk.fill(room)
    done = run(tmp_path, "migrate", **_settings(disk.store))
    assert done.returncode == 1, done
    assert done.stderr.count("\n") == 1, done.stderr
    assert "full" in done.stderr
    disk.free()
    level = _level(disk.store)
    _require_whole(disk.store, USERS)
    again = run(tmp_path, "migrate", **_settings(disk.store))
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.count("applied") == len(ALL) - level
    _require_whole(disk.store, USERS)
