"""Migrations that are cut short, and a server that may not migrate."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import asyncpg
import pytest

from server.database.sqlite.contents import beside
from server.files.file_lock import FileLock
from tests.calling import PAUSE_SECONDS
from tests.environment import ROOT
from tests.in_process import run as run_here
from tests.locks import POSTGRES_WAITS
from tests.process.programs import later_program
from tests.process.server_process import DEADLINE_SECONDS, environment, run
from tests.running import MASTER_KEY

# On SQLite it takes some time, and on PostgreSQL it waits for a lock after its first half.
_MANY = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500000) SELECT i FROM n"
ADDED = {
    "added": (
        f"CREATE TABLE later (id INTEGER) STRICT;\nINSERT INTO later {_MANY};",
        "CREATE TABLE later (id BIGINT);\nALTER TABLE users ADD COLUMN phone TEXT;",
    )
}


@pytest.fixture
def later(tmp_path: Path) -> Path:
    return later_program(tmp_path / "later", ADDED)


def settings(store_url: str, program: Path = ROOT) -> dict[str, str]:
    return {
        "WATCHWORD__STORE__URL": store_url,
        "WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY,
        "PYTHONPATH": str(program),
    }


@contextmanager
def half_way(folder: Path, store_url: str, program: Path, *command: str) -> Iterator[subprocess.Popen[str]]:
    """A program that is in the middle of a migration."""
    arguments = [sys.executable, "-m", "server", *command]
    environ = environment(**settings(store_url, program))

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(arguments, cwd=folder, env=environ, stderr=subprocess.PIPE, text=True)

    if store_url.startswith("sqlite"):
        with start() as process, closing(FileLock(beside(Path(store_url[10:]), ".write-lock"))) as lock:
            deadline = time.monotonic() + DEADLINE_SECONDS
            while lock.try_acquire():
                lock.release()
                assert time.monotonic() < deadline
                time.sleep(PAUSE_SECONDS)
            yield process
        return
    with asyncio.Runner() as runner:
        holder = runner.run(asyncpg.connect(store_url))
        transaction = holder.transaction()
        runner.run(transaction.start())
        runner.run(holder.execute("LOCK TABLE watchword.users IN ACCESS SHARE MODE"))
        with start() as process:
            deadline = time.monotonic() + DEADLINE_SECONDS
            while not runner.run(holder.fetchval(POSTGRES_WAITS)):
                assert time.monotonic() < deadline
                time.sleep(PAUSE_SECONDS)
            yield process
        runner.run(transaction.rollback())
        runner.run(holder.close())


def test_a_migration_that_is_killed_half_way_is_done_by_the_next_start(
    tmp_path: Path, store_url: str, later: Path
) -> None:
    assert run_here(tmp_path, "migrate", **settings(store_url)).returncode == 0
    with half_way(tmp_path, store_url, later, "migrate") as process:
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert run_here(tmp_path, "migrate", "--check", **settings(store_url)).stdout == "the store is up to date\n"
    assert run(tmp_path, "serve", "--no-migrate", **settings(store_url, later)).returncode == 1
    again = run(tmp_path, "migrate", **settings(store_url, later))
    assert again.stdout.endswith("_added\nthe store is up to date\n")
    assert again.stdout.count("applied") == 1


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
@pytest.mark.parametrize(("command", "code"), [("migrate", 143), ("serve", 0)])
def test_who_waits_for_a_lock_ends_when_asked(
    tmp_path: Path, store_url: str, later: Path, command: str, code: int
) -> None:
    assert run_here(tmp_path, "migrate", **settings(store_url)).returncode == 0
    with half_way(tmp_path, store_url, later, command) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_SECONDS) == code
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_that_may_not_migrate_makes_nothing(tmp_path: Path, workers: str) -> None:
    refused = run(tmp_path, "serve", "--no-migrate", WATCHWORD__SERVER__WORKERS=workers)
    assert refused.returncode == 1
    assert refused.stderr.endswith("; `serve` and `migrate` make one\n")
    assert refused.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
