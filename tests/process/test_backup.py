"""`store backup`, beside a server that is at work, and a server on what it made."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.process.server_process import ServerProcess, run, serving
from tests.running import MASTER_KEY

PASSWORD = "brown otters juggle turnips"


def make_user(folder: Path, username: str) -> None:
    made = run(
        folder, "users", "create", "--username", username, "--role", "customer", "--password-stdin", stdin=PASSWORD
    )
    assert made.returncode == 0, made.stderr


class Work:
    """Threads that log in and refresh as long as they may, and fail the test if one of them is refused."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(3)]
        self.refreshes = 0
        self.failures: list[Any] = []

    def _work(self) -> None:
        while not self._stop.is_set():
            answer = self._server.log_in("busy", PASSWORD)
            for _ in range(10):
                status, answer = self._server.call("POST", "/refresh", {"refresh_token": answer["refresh_token"]})
                if status != 200:
                    self.failures.append(answer)
                    return
                self.refreshes += 1

    def __enter__(self) -> Work:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def restore(backup: Path, folder: Path) -> None:
    """As docs/operations.md says: the copy and its key, into an empty folder."""
    (folder / "data").mkdir(parents=True)
    shutil.copy2(backup, folder / "data" / "watchword.db")
    shutil.copy2(backup.with_name(backup.name + ".key"), folder / "data" / "watchword.db.key")


def test_a_copy_made_while_the_server_works_goes_on_where_it_was(tmp_path: Path) -> None:
    for username in ("lak", "busy"):
        make_user(tmp_path, username)
    with serving(tmp_path) as server:
        known = server.log_in("lak", PASSWORD)
        ended = server.log_in("lak", PASSWORD)
        assert server.call("POST", "/logout", token=ended["token"])[0] == 204
        with Work(server) as work:
            for number in range(5):
                before = work.refreshes
                done = run(tmp_path, "store", "backup", f"copy{number}.db")
                assert (done.returncode, done.stderr) == (0, "")
                assert work.refreshes > before
        assert work.failures == []
        assert server.call("GET", "/health/ready")[0] == 200
        assert server.stop() == 0
    for number in range(5):
        copy = tmp_path / f"copy{number}.db"
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / f"copy{number}.db.key").stat().st_mode) == 0o600
        with closing(sqlite3.connect(f"file:{copy}?immutable=1", uri=True)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
            # A login writes both in one transaction.
            assert connection.execute(
                "SELECT count(*) FROM users WHERE last_login_at IS NOT "
                "(SELECT max(created_at) FROM sessions WHERE user_id = users.id)"
            ).fetchone() == (0,)
    restored = tmp_path / "restored"
    restore(tmp_path / "copy4.db", restored)
    with serving(restored) as server:
        assert server.call("GET", "/me", token=known["token"])[1]["user"]["username"] == "lak"
        assert server.call("POST", "/refresh", {"refresh_token": known["refresh_token"]})[0] == 200
        assert server.log_in("busy", PASSWORD)["token"]
        # What was revoked before stays so.
        assert server.call("GET", "/me", token=ended["token"])[1]["code"] == "token_revoked"
        assert server.call("POST", "/refresh", {"refresh_token": ended["refresh_token"]})[0] == 401
        assert server.stop() == 0


def test_a_copy_after_kill_9_has_everything_that_was_acknowledged(tmp_path: Path) -> None:
    make_user(tmp_path, "lak")
    with serving(tmp_path) as server:
        known = server.log_in("lak", PASSWORD)
        server.stop(signal.SIGKILL)
    assert run(tmp_path, "store", "backup", "copy.db").returncode == 0
    restore(tmp_path / "copy.db", tmp_path / "restored")
    with serving(tmp_path / "restored") as server:
        assert server.call("GET", "/me", token=known["token"])[0] == 200
        assert server.stop() == 0


def test_the_command_says_where_the_master_key_is(tmp_path: Path) -> None:
    make_user(tmp_path, "lak")
    beside = run(tmp_path, "store", "backup", "one.db")
    assert beside.stdout.splitlines() == [
        "backed up to one.db, checked",
        "the master key is beside it, in one.db.key: whoever has both can sign tokens",
    ]
    assert (tmp_path / "one.db.key").read_bytes() == (tmp_path / "data" / "watchword.db.key").read_bytes()
    without = run(tmp_path, "store", "backup", "two.db", "--without-key")
    assert (
        without.stdout.splitlines()[1]
        == f"the master key is not in it; keep {tmp_path}/data/watchword.db.key too, in another place"
    )
    assert not (tmp_path / "two.db.key").exists()
    given = run(tmp_path, "store", "backup", "three.db", WATCHWORD__KEYS__MASTER_KEY=MASTER_KEY)
    assert "in the settings (keys.master_key)" in given.stdout
    assert not (tmp_path / "three.db.key").exists()
    (tmp_path / "data" / "watchword.db.key").unlink()
    assert "no master key yet" in run(tmp_path, "store", "backup", "four.db").stdout


@pytest.mark.parametrize("there", ["copy.db", "copy.db.key"])
def test_neither_the_copy_nor_its_key_replaces_a_file(tmp_path: Path, there: str) -> None:
    make_user(tmp_path, "lak")
    (tmp_path / there).write_text("mine")
    refused = run(tmp_path, "store", "backup", "copy.db")
    assert (refused.returncode, refused.stderr) == (1, f"file: {there} is there already; choose another name\n")
    assert [file.name for file in tmp_path.glob("copy*")] == [there]
    assert (tmp_path / there).read_text() == "mine"


@pytest.mark.parametrize("path", [".", "nowhere/copy.db", "data"])
def test_a_place_that_cannot_be_used_is_one_clear_line(tmp_path: Path, path: str) -> None:
    make_user(tmp_path, "lak")
    refused = run(tmp_path, "store", "backup", path)
    assert refused.returncode == 1
    assert refused.stderr.startswith("file: ")
    assert len(refused.stderr.splitlines()) == 1


def test_without_a_store_there_is_no_backup_and_nothing_is_made(tmp_path: Path) -> None:
    refused = run(tmp_path, "store", "backup", "copy.db")
    assert (refused.returncode, refused.stderr) == (1, f"store: there is no store at {tmp_path}/data/watchword.db\n")
    assert list(tmp_path.iterdir()) == []


def test_postgresql_is_told_its_own_tool_in_one_line(tmp_path: Path) -> None:
    refused = run(
        tmp_path,
        "store",
        "backup",
        "copy.db",
        WATCHWORD__STORE__URL="postgresql://user:hush@127.0.0.1:1/nowhere",
        WATCHWORD__KEYS__MASTER_KEY=MASTER_KEY,
    )
    assert refused.returncode == 1
    assert "pg_dump" in refused.stderr
    assert "hush" not in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
