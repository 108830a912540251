"""`server.workers`: several processes behind one address."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

import pytest

from tests.process.server_process import ServerProcess, run, serving
from tests.running import MASTER_KEY

on_postgres = pytest.mark.parametrize("store_url", ["postgres"], indirect=True)


def settings(store_url: str, workers: int) -> dict[str, str]:
    return {
        "WATCHWORD__STORE__URL": store_url,
        "WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY,
        "WATCHWORD__SERVER__WORKERS": str(workers),
    }


def workers_of(server: ServerProcess) -> list[int]:
    pid = server.process.pid
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@on_postgres
def test_workers_share_the_address_and_end_together(tmp_path: Path, store_url: str) -> None:
    with serving(tmp_path, log_to=None, module="server", **settings(store_url, 3)) as server:
        assert server.banner.count("listens on") == 1
        token = server.log_in("admin", server.admin_password())["token"]
        workers = workers_of(server)
        assert len(workers) == 3
        answers = [server.call("GET", "/users", token=token)[0] for _ in range(20)]
        assert answers == 20 * [200]
        assert server.stop(signal.SIGTERM) == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


@on_postgres
def test_a_worker_that_dies_takes_the_server_along(tmp_path: Path, store_url: str) -> None:
    """Half a server would be slow and nobody would know why. Also if what starts it ignores the death of children."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with serving(tmp_path, log_to=None, module="server", **settings(store_url, 2)) as server:
        signal.signal(signal.SIGCHLD, before)
        workers = workers_of(server)
        os.kill(workers[0], signal.SIGKILL)
        assert server.process.wait(60) == 1
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
        assert "a worker ended by itself" in server.log()


@on_postgres
def test_workers_do_not_outlive_their_parent(tmp_path: Path, store_url: str) -> None:
    with serving(tmp_path, log_to=None, module="server", **settings(store_url, 2)) as server:
        ends = [os.pidfd_open(pid) for pid in workers_of(server)]
        server.stop(signal.SIGKILL)
        for end in ends:
            assert select.select([end], [], [], 30)[0], "a worker goes on alone"
            os.close(end)


def test_on_sqlite_there_is_one(tmp_path: Path) -> None:
    refused = run(tmp_path, "serve", WATCHWORD__SERVER__WORKERS="2")
    assert refused.returncode == 2
    assert "server.workers" in refused.stderr


@on_postgres
def test_workers_that_were_stopped_go_on_and_can_be_ended(tmp_path: Path, store_url: str) -> None:
    """Ctrl-Z and fg stop and continue a whole server; none of its processes has died by that."""
    with serving(tmp_path, log_to=None, module="server", **settings(store_url, 2)) as server:
        workers = workers_of(server)
        for number in (signal.SIGSTOP, signal.SIGCONT, signal.SIGTSTP, signal.SIGCONT):
            for pid in (*workers, server.process.pid):
                os.kill(pid, number)
        assert server.call("GET", "/health/live")[0] == 200
        assert workers_of(server) == workers
        # As Ctrl-C does at a terminal: everybody gets it, and each worker SIGTERM as well.
        os.kill(workers[0], signal.SIGSTOP)
        for pid in (server.process.pid, *workers):
            os.kill(pid, signal.SIGINT)
        assert server.process.wait(10) == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
        assert "a worker ended by itself" not in server.log()
