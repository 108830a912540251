"""`server.workers`: several processes behind one address, and their parent."""

from __future__ import annotations

import contextlib
import http.client
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from server.files.file_lock import FileLock
from tests.calling import wait_until
from tests.environment import environment
from tests.listening import free_port
from tests.process.server_process import DEADLINE_SECONDS, ServerProcess, run, serving
from tests.processes import children_of
from tests.running import MASTER_KEY

ADDRESS = "WATCHWORD__SERVER__PORT"
ODD = "tests.process.odd_workers"


def settings(store_url: str, workers: int) -> dict[str, str]:
    return {
        "WATCHWORD__STORE__URL": store_url,
        "WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY,
        "WATCHWORD__SERVER__WORKERS": str(workers),
        # All tests share one PostgreSQL, which takes 100 connections.
        "WATCHWORD__STORE__POOL_SIZE": "3",
    }


def workers_of(server: ServerProcess) -> list[int]:
    return children_of(server.process.pid)


def test_workers_share_the_address_and_end_together(tmp_path: Path, store_url: str) -> None:
    with serving(tmp_path, log_to=None, module="server", **settings(store_url, 3)) as server:
        assert server.banner.count("listens on") == 1
        token = server.log_in("admin", server.admin_password())["token"]
        workers = workers_of(server)
        assert len(workers) == 3
        answers = [server.call("GET", "/users", token=token)[0] for _ in range(20)]
        assert answers == 20 * [200]
        # A process with threads must not fork (fork(2)).
        assert len(list(Path(f"/proc/{server.process.pid}/task").iterdir())) == 1
        assert server.stop(signal.SIGTERM) == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


@pytest.mark.parametrize("count", [2, 4])
def test_connections_are_spread_over_the_workers(tmp_path: Path, count: int) -> None:
    """Also those of a client that opens all of them at once and keeps them, as a proxy does."""
    with serving(tmp_path, WATCHWORD__SERVER__WORKERS=str(count)) as server, ExitStack() as stack:
        address = server.address.removeprefix("http://")
        connections = [http.client.HTTPConnection(address, timeout=DEADLINE_SECONDS) for _ in range(16 * count)]
        for connection in connections:
            stack.callback(connection.close)
            connection.connect()
        answered = Counter(answered_by(connection) for connection in connections)
        assert len(answered) == count
        assert min(answered.values()) >= 10
        # Each stays where it is.
        assert Counter(answered_by(connection) for connection in connections) == answered


def answered_by(connection: http.client.HTTPConnection) -> str:
    """The worker: the first part of its request ids is its own."""
    connection.request("GET", "/health/live")
    response = connection.getresponse()
    response.read()
    return response.headers["X-Request-Id"].partition("-")[0]


def test_a_worker_that_dies_is_replaced_while_the_others_serve(tmp_path: Path, store_url: str) -> None:
    """Also if what starts the server ignores the death of children."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with serving(tmp_path, log_to=None, module="server", **settings(store_url, 2)) as server:
        signal.signal(signal.SIGCHLD, before)
        first, second = workers_of(server)
        os.kill(first, signal.SIGKILL)
        assert server.call("GET", "/health/ready")[0] == 200
        wait_until(lambda: len(workers_of(server)) == 2 and first not in workers_of(server))
        assert second in workers_of(server)
        # A worker may also be asked to end, for example by a tool that looks for the largest process.
        os.kill(second, signal.SIGTERM)
        wait_until(lambda: len(workers_of(server)) == 2 and second not in workers_of(server))
        assert server.call("GET", "/health/ready")[0] == 200
        # Most real-time signals have no name.
        third = workers_of(server)[0]
        os.kill(third, 40)
        wait_until(lambda: len(workers_of(server)) == 2 and third not in workers_of(server))
        assert server.log().count("a worker died") == 3
        assert '"it was ended by SIGKILL"' in server.log()
        assert '"it was ended by signal 40"' in server.log()
        assert server.stop() == 0


def test_workers_do_not_outlive_their_parent_and_the_next_server_starts(tmp_path: Path, store_url: str) -> None:
    """Also if one is stopped: it would keep the port and the lock of the store."""
    same = settings(store_url, 2) | {ADDRESS: str(free_port())}
    with serving(tmp_path, log_to=None, module="server", **same) as server:
        workers = workers_of(server)
        ends = [os.pidfd_open(pid) for pid in workers]
        os.kill(workers[0], signal.SIGSTOP)
        server.stop(signal.SIGKILL)
        for end in ends:
            assert select.select([end], [], [], 30)[0], "a worker goes on alone"
            os.close(end)
        with serving(tmp_path, log_to=None, module="server", **same) as after:
            assert after.log_in("admin", server.admin_password())["token"]


def test_a_worker_keeps_other_servers_from_the_file(tmp_path: Path) -> None:
    with serving(tmp_path, WATCHWORD__SERVER__WORKERS="2") as server:
        for count in ("1", "2"):
            second = run(tmp_path, "serve", WATCHWORD__SERVER__WORKERS=count)
            assert second.returncode == 1
            assert second.stderr.startswith("store: ")
            assert "already served" in second.stderr
            assert len(second.stderr.splitlines()) == 1
        assert server.call("GET", "/health/ready")[0] == 200


def test_a_number_of_workers_that_can_not_be_is_one_line(tmp_path: Path) -> None:
    refused = run(tmp_path, "serve", WATCHWORD__SERVER__WORKERS="65")
    assert refused.returncode == 2
    assert refused.stderr == "config: server.workers: write a whole number from 0 to 64\n"
    assert not (tmp_path / "data").exists()


def test_a_start_that_fails_is_one_line(tmp_path: Path) -> None:
    """As with one process: whatever process finds it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "watchword.db").write_bytes(b"this is no database, but text that is long enough")
    refused = run(tmp_path, "serve", WATCHWORD__SERVER__WORKERS="2")
    assert refused.returncode == 1
    assert refused.stderr.startswith("store: ")
    assert len(refused.stderr.splitlines()) == 1


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
        assert "a worker died" not in server.log()


def test_a_worker_that_hangs_is_killed_and_replaced(tmp_path: Path) -> None:
    """And the parent reaps what it has not forked, as process 1 of a container has to."""
    with serving(tmp_path, module=ODD, WATCHWORD__SERVER__WORKERS="2") as server:
        workers = workers_of(server)
        assert len(workers) == 2
        (tmp_path / "hang").touch()
        os.kill(workers[0], signal.SIGKILL)
        wait_until(lambda: server.log().count("a worker died") == 2)
        assert '"it did not answer for 5 s"' in server.log()
        wait_until(lambda: len(workers_of(server)) == 2 and workers[1] in workers_of(server))
        assert server.call("GET", "/health/ready")[0] == 200
        assert server.stop() == 0


def test_a_worker_that_is_stopped_does_not_hang(tmp_path: Path) -> None:
    with serving(tmp_path, module=ODD, WATCHWORD__SERVER__WORKERS="2") as server:
        stopped, other = workers_of(server)
        (tmp_path / "hang").touch()
        stop_while_idle(stopped, tmp_path / "data" / "watchword.db.write-lock")
        # By the time that this one is noticed, the other would have been.
        os.kill(other, signal.SIGKILL)
        wait_until(lambda: "did not answer" in server.log())
        os.kill(stopped, signal.SIGCONT)
        wait_until(lambda: len(workers_of(server)) == 2)
        assert stopped in workers_of(server)
        assert server.stop() == 0
        assert f'"pid":{stopped}' not in server.log()


def stop_while_idle(pid: int, write_lock: Path) -> None:
    """Stop a process at a moment at which it neither holds nor waits for the lock: else nobody could write."""
    with closing(FileLock(write_lock)) as lock, closing(FileLock(Path(f"{write_lock}.turn"))) as turn:
        while True:
            os.kill(pid, signal.SIGSTOP)
            wait_until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
            if turn.try_acquire() and lock.try_acquire():
                return
            turn.release()
            os.kill(pid, signal.SIGCONT)


def test_a_crash_loop_ends_the_server_with_one_line(tmp_path: Path) -> None:
    """Here no worker can start any more, since somebody took the master key away."""
    with serving(tmp_path, module=ODD, WATCHWORD__SERVER__WORKERS="2") as server:
        workers = workers_of(server)
        (tmp_path / "data" / "watchword.db.key").rename(tmp_path / "taken away")
        os.kill(workers[0], signal.SIGKILL)
        assert server.process.wait(DEADLINE_SECONDS) == 1
        assert server.log().count("workers die again and again, so the server ends") == 1
        assert "watchword.db.key is missing" in server.log()
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_workers_that_are_killed_before_they_are_ready_are_a_crash_loop_too(tmp_path: Path) -> None:
    with serving(tmp_path, module=ODD, WATCHWORD__SERVER__WORKERS="2") as server:
        while server.process.poll() is None:
            for pid in workers_of(server):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        assert server.process.wait(DEADLINE_SECONDS) == 1
        assert server.log().count("workers die again and again, so the server ends") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_a_signal_while_workers_are_replaced_ends_all(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path, WATCHWORD__SERVER__WORKERS="2") as server:
        for pid in workers_of(server):
            os.kill(pid, signal.SIGKILL)
        assert server.stop(number) == 0
        # The port is free, so none is left.
        address = server.address.removeprefix("http://").split(":")
        socket.create_server((address[0], int(address[1]))).close()


def test_a_late_signal_changes_no_exit_code(tmp_path: Path) -> None:
    """Python takes the handlers of signals away some time before the process is gone."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        with serving(tmp_path, log_to=None, module="server", **settings("sqlite:///data/watchword.db", 2)) as server:
            server.process.send_signal(signal.SIGTERM)
            while server.process.poll() is None:
                server.process.send_signal(number)
                time.sleep(0.0005)
            assert server.process.returncode == 0


# As where a user may have no more processes; that limit does not hold for root.
NO_PROCESS = """
import errno, os
from server.cli import main
def fork():
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
os.fork = fork
main()
"""
FEW_FILES = """
import resource
from server.cli import main
resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))
main()
"""


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (NO_PROCESS, "no process can be started (Resource temporarily unavailable); raise the limit of processes"),
        (FEW_FILES, "limits: Too many open files; raise the limit of open files"),
    ],
)
def test_a_start_that_the_limits_of_the_system_end_is_one_line(tmp_path: Path, program: str, told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(**settings("sqlite:///watchword.db", 2)),
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr
