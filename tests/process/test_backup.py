"""`store backup`, beside a server that is at work, and a server on what it made."""

from __future__ import annotations

import signal
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.in_process import run
from tests.in_process import serving as serving_here
from tests.process.server_process import DEADLINE_SECONDS, ServerProcess, serving
from tests.running import PASSWORD


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
        self._refreshed = threading.Condition()
        self.failures: list[Any] = []

    def _work(self) -> None:
        while not self._stop.is_set():
            answer = self._server.log_in("busy", PASSWORD)
            for _ in range(10):
                status, answer = self._server.call("POST", "/refresh", {"refresh_token": answer["refresh_token"]})
                if status != 200:
                    self.failures.append(answer)
                    return
                with self._refreshed:
                    self.refreshes += 1
                    self._refreshed.notify_all()

    def wait_for_more_than(self, refreshes: int) -> None:
        with self._refreshed:
            assert self._refreshed.wait_for(lambda: self.refreshes > refreshes, DEADLINE_SECONDS)

    def __enter__(self) -> Work:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def restore(backup: Path, folder: Path) -> None:
    """As docs/operations.md says, in an empty folder."""
    folder.mkdir()
    done = run(folder, "store", "restore", str(backup))
    assert (done.returncode, done.stderr) == (0, "")


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
                work.wait_for_more_than(before)
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
    with serving_here(restored) as server:
        assert server.call("GET", "/me", token=known["token"])[1]["user"]["username"] == "lak"
        assert server.call("POST", "/refresh", {"refresh_token": known["refresh_token"]})[0] == 200
        assert server.log_in("busy", PASSWORD)["token"]
        # What was revoked before stays so.
        assert server.call("GET", "/me", token=ended["token"])[1]["code"] == "token_revoked"
        assert server.call("POST", "/refresh", {"refresh_token": ended["refresh_token"]})[0] == 401


def test_a_copy_after_kill_9_has_everything_that_was_acknowledged(tmp_path: Path) -> None:
    make_user(tmp_path, "lak")
    with serving(tmp_path) as server:
        known = server.log_in("lak", PASSWORD)
        server.stop(signal.SIGKILL)
    assert run(tmp_path, "store", "backup", "copy.db").returncode == 0
    restore(tmp_path / "copy.db", tmp_path / "restored")
    with serving_here(tmp_path / "restored") as server:
        assert server.call("GET", "/me", token=known["token"])[0] == 200
