"""`store move` as a process, with a client that refreshes through it, and moves that are killed."""

from __future__ import annotations

import itertools
import json
import sqlite3
import threading
import time
import urllib.error
import uuid
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.calling import PAUSE_SECONDS
from tests.in_process import run as run_here
from tests.process.server_process import DEADLINE_SECONDS, ServerProcess, run, serving
from tests.running import PASSWORD
from tests.users.transfer.rows import write_rows
from tests.volume import IS_FULL

USERS = 100_000 if IS_FULL else 400
SESSIONS = 10_000 if IS_FULL else 40
# The pause of the client before it tries again. It is told to wait two seconds.
RETRY_SECONDS = 0.1


class Client:
    """Refreshes one session again and again. It tries again after 503, or when nobody listens."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.answer = server.log_in("lak", PASSWORD)
        self.failures: list[Any] = []
        self.codes: set[str] = set()
        self.longest_seconds = 0.0
        self._refreshed = threading.Condition()
        self._count = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        since = time.monotonic()
        while not self._stop.wait(RETRY_SECONDS / 2):
            try:
                body = {"refresh_token": self.answer["refresh_token"]}
                status, answer = self.server.call("POST", "/refresh", body)
            except (urllib.error.URLError, OSError, json.JSONDecodeError):
                # The server ends or is not there yet.
                status, answer = 503, {"code": "nobody listens"}
            if status == 200:
                self.answer = answer
                self.longest_seconds, since = max(self.longest_seconds, time.monotonic() - since), time.monotonic()
                with self._refreshed:
                    self._count += 1
                    self._refreshed.notify_all()
            elif status == 503:
                self.codes.add(answer["code"])
                self._stop.wait(RETRY_SECONDS)
            else:
                self.failures.append(answer)
                return

    def wait_for_one_more(self) -> None:
        """Until it was refreshed again, at the server that it calls now."""
        with self._refreshed:
            known = self._count
            assert self._refreshed.wait_for(lambda: self._count > known, DEADLINE_SECONDS)

    def __enter__(self) -> Client:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def fill(folder: Path) -> None:
    """Users by import, and sessions of them that are alive."""
    write_rows(
        folder / "users.jsonl", [{"username": f"user{number}", "name": f"Zoë {number}"} for number in range(USERS)]
    )
    assert run(folder, "users", "import", "users.jsonl").returncode == 0
    made = run_here(
        folder, "users", "create", "--username", "lak", "--role", "customer", "--password-stdin", stdin=PASSWORD
    )
    assert made.returncode == 0, made.stderr
    now = int(time.time() * 1000)
    with closing(sqlite3.connect(folder / "data" / "watchword.db")) as connection, connection:
        connection.executemany(
            "INSERT INTO sessions (id, user_id, step, created_at, stepped_at, idle_expires_at, expires_at) "
            "SELECT ?, id, 3, ?, ?, ?, ? FROM users LIMIT 1 OFFSET ?",
            [(str(uuid.uuid4()), now, now, now + 10**8, now + 10**9, number) for number in range(SESSIONS)],
        )


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
def test_a_client_refreshes_through_moves_to_postgresql_and_back(
    tmp_path: Path, store_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path)
    key = (tmp_path / "data" / "watchword.db.key").read_text().strip()
    places: list[dict[str, Any]] = [
        {},
        {"WATCHWORD__STORE__URL": store_url, "WATCHWORD__KEYS__MASTER_KEY": key},
        {"WATCHWORD__STORE__URL": "sqlite:///back/watchword.db", "WATCHWORD__KEYS__MASTER_KEY": key},
    ]
    with ExitStack() as servers:
        server = servers.enter_context(serving(tmp_path))
        with Client(server) as client:
            for here, there in itertools.pairwise(places):
                client.wait_for_one_more()
                old, token = client.server, client.answer["token"]
                moved = run(tmp_path, "store", "move", "--to", there["WATCHWORD__STORE__URL"], **here)
                assert moved.returncode == 0, moved.stderr
                # The old server still checks tokens.
                assert old.call("GET", "/me", token=token)[0] == 200
                _wait_until_not_ready(old)
                client.server = servers.enter_context(serving(tmp_path, **there))
                client.wait_for_one_more()
                assert client.server.call("GET", "/me", token=token)[0] == 200
                assert old.stop() == 0
                verified = run(tmp_path, "audit", "verify", **there)
                assert verified.returncode == 0, verified.stderr
                if IS_FULL:
                    with capsys.disabled():
                        print(f"\n{moved.stdout}the client waited for {client.longest_seconds:.1f} s")
        assert client.failures == []
        assert "store_moving" in client.codes


def _wait_until_not_ready(server: ServerProcess) -> None:
    """The last check may be a second old."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (answer := server.call("GET", "/health/ready")) == (200, {"status": "ok"}):
        assert time.monotonic() < deadline
        time.sleep(PAUSE_SECONDS)
    assert (answer[0], answer[1]["reason"]) == (503, "store_moving")
