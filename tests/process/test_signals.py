"""Signals at every moment: of a server, of its start, of its end, and of commands."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import in_process
from tests.calling import wait_until
from tests.process.server_process import DEADLINE_SECONDS, environment, serving, uncovered
from tests.running import MASTER_KEY

END_SECONDS = 10.0
COMMAND = [sys.executable, "-m", "server"]


@contextlib.contextmanager
def started(folder: Path, *arguments: str, **changes: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process; killed at the end if it is still there."""
    env = environment(**changes.pop("settings", {}))
    if not changes.pop("covered", True):
        env = uncovered(env)
    command = [*changes.pop("command", COMMAND), *arguments]
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process: subprocess.Popen[bytes]
    with subprocess.Popen(command, cwd=folder, env=env, **(streams | changes)) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[bytes], number: signal.Signals, pid: int | None = None) -> int:
    """The exit code after a signal."""
    os.kill(pid or process.pid, number)
    return process.wait(END_SECONDS)


def takes_signals(pid: int) -> bool:
    """Whether SIGTERM is caught or blocked by Python, and not by what starts it (proc(5): bits of signals)."""
    if Path(f"/proc/{pid}/comm").read_text().strip() == "unshare":
        return False
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    bit = 1 << (signal.SIGTERM - 1)
    return bool((int(status["SigBlk"], 16) | int(status["SigCgt"], 16)) & bit)


@pytest.mark.parametrize(
    ("number", "workers"),
    [(signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGQUIT, 1), (signal.SIGTERM, 2), (signal.SIGINT, 4)],
)
def test_a_start_that_waits_for_a_lock_ends_at_once(tmp_path: Path, number: signal.Signals, workers: int) -> None:
    (tmp_path / "data").mkdir()
    with (tmp_path / "data" / "watchword.db.write-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with started(tmp_path, settings={"WATCHWORD__SERVER__WORKERS": str(workers)}) as process:
            wait_until((tmp_path / "data" / "watchword.db.write-lock.turn").exists)
            assert ended(process, number) == 0
            assert process.communicate()[1] == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_start_that_waits_for_postgres_ends_at_once(tmp_path: Path, number: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://watchword@127.0.0.1:{silent.getsockname()[1]}/watchword"
        settings = {"WATCHWORD__STORE__URL": url, "WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY}
        silent.settimeout(DEADLINE_SECONDS)
        with started(tmp_path, settings=settings) as process:
            connection, _ = silent.accept()
            with connection:
                assert ended(process, number) == 0
            assert process.communicate()[1] == b""


def test_a_demo_that_is_ended_before_it_has_begun_leaves_no_folder(tmp_path: Path) -> None:
    script = (
        "import os, signal, time\n"
        "from server.cli import main, serve\n"
        "real = serve.listen_on\n"
        "def listen_on(*address, **options):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        # Until the thread has taken it.
        "    while signal.SIGTERM in signal.sigpending(): time.sleep(0.001)\n"
        "    time.sleep(0.05)\n"
        "    return real(*address, **options)\n"
        "serve.listen_on = listen_on\n"
        "main()\n"
    )
    command = [sys.executable, "-c", script, "serve", "--demo"]
    with started(tmp_path, command=command, settings={"TMPDIR": str(tmp_path)}) as process:
        assert process.wait(DEADLINE_SECONDS) == 0
        assert process.communicate()[1] == b""
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_is_interrupted_in_an_import_exits_with_the_code_of_the_signal(tmp_path: Path) -> None:
    """Dataclasses are made by exec(), and CPython would end by SIGINT after a KeyboardInterrupt in there."""
    (tmp_path / "interrupted.py").write_text(
        "import sys\nfrom server import cli\n"
        "WORK = 'import os\\nos.kill(os.getpid(), 15)\\nfor _ in range(10**6): pass'\n"
        "cli._run = lambda signals: exec(WORK)\nsys.argv = ['server', 'routes']\ncli.main()\n"
    )
    with started(tmp_path, command=[sys.executable, "-m", "interrupted"]) as process:
        assert process.communicate(timeout=DEADLINE_SECONDS) == (b"", b"")
        assert process.returncode == 143


@pytest.mark.parametrize(("arguments", "code"), [([], 0), (["users", "list"], 143)])
def test_process_1_of_a_container_ends_also_while_it_imports(tmp_path: Path, arguments: list[str], code: int) -> None:
    """Process 1 has no default actions: what is not waited for is lost (pid_namespaces(7))."""
    namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if shutil.which("unshare") is None or subprocess.run([*namespace, "true"], check=False).returncode != 0:
        pytest.skip("this system has no process namespaces for this user")
    with started(tmp_path, *arguments, command=[*namespace, *COMMAND], covered=False) as outer:
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
        wait_until(lambda: children.read_text() != "")
        first = int(children.read_text())
        wait_until(lambda: takes_signals(first))
        assert ended(outer, signal.SIGTERM, first) == code
        assert outer.communicate() == (b"", b"")


def test_a_signal_that_is_not_used_is_told_and_survived(tmp_path: Path) -> None:
    names = ["SIGUSR1", "SIGUSR2"]
    with serving(tmp_path) as server:
        for name in names:
            server.process.send_signal(signal.Signals[name])
            wait_until(lambda: f'"{name}"' in server.log())  # noqa: B023 - called here
        assert server.call("GET", "/health/live")[0] == 200
        assert server.stop() == 0
        assert server.log().count("a signal that is not used") == len(names)


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    """While the first one waits for a request."""
    with serving(tmp_path) as server:
        address = server.address.removeprefix("http://").split(":")
        with socket.create_connection((address[0], int(address[1]))) as connection:
            head = "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9"
            connection.sendall(f"{head}\r\n\r\n{{".encode())
            assert server.call("GET", "/health/live")[0] == 200
            server.process.send_signal(signal.SIGINT)
            wait_until(lambda: server.call("GET", "/health/ready")[0] == 503)
            assert server.stop(signal.SIGINT) == 130


def test_a_log_that_nobody_reads_stops_neither_answers_nor_the_end(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        address = ""
        while "listens on" not in address:
            address = process.stdout.readline().decode()
        connection = http.client.HTTPConnection(address.split("http://")[1].split()[0], timeout=DEADLINE_SECONDS)
        for _ in range(1000):
            connection.request("GET", "/health/live")
            response = connection.getresponse()
            response.read()
            assert response.status == 200
        connection.close()
        assert ended(process, signal.SIGTERM) == 0
        # What the pipe took before it was full.
        lines = process.stderr.read().split(b"\n")
        assert len(lines) > 100
        assert all(json.loads(line) for line in lines[:-1])


def test_a_command_that_is_interrupted_undoes_what_it_began(tmp_path: Path) -> None:
    rows = "".join(f'{{"username": "user{number}", "role": "customer"}}\n' for number in range(100))
    assert in_process.run(tmp_path, "users", "import", "-", "--format", "jsonl", stdin=rows).returncode == 0

    with started(tmp_path, "users", "list", "--json") as process:
        assert process.stdout is not None
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        # It takes no further user, so the command waits for a reader.
        wait_until(lambda: waiting_bytes(process.stdout) > 3500)
        assert ended(process, signal.SIGINT) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""

    with (tmp_path / "data" / "watchword.db.write-lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with started(tmp_path, "users", "export", "users.csv") as process:
            wait_until(lambda: is_locked(tmp_path / "data" / "watchword.db.write-lock.turn"))
            assert list(tmp_path.glob("*users.csv*")) != []
            assert ended(process, signal.SIGTERM) == 143
            assert process.communicate() == (b"", b"")
    assert list(tmp_path.glob("*users.csv*")) == []

    os.mkfifo(tmp_path / "rows.jsonl")
    with started(tmp_path, "users", "import", "rows.jsonl") as process, (tmp_path / "rows.jsonl").open("wb") as fifo:
        fifo.write(b'{"username": "half", "role": "customer"}\n')
        fifo.flush()
        wait_until(lambda: waiting_bytes(fifo) == 0)
        assert ended(process, signal.SIGHUP) == 129
        errors = process.communicate()[1].decode().splitlines()
        assert [line.split(":")[0] for line in errors] in ([], ["stopped before the end of the file"])

    assert in_process.run(tmp_path, "audit", "verify").returncode == 0


def is_locked(path: Path) -> bool:
    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def waiting_bytes(pipe: Any) -> int:
    """That are written and not read yet."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_ctrl_c_at_a_prompt_is_130(tmp_path: Path) -> None:
    terminal, inner = pty.openpty()
    with started(
        tmp_path, "users", "set-password", "lak",
        stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as process:  # fmt: skip
        os.close(inner)
        shown = b""
        while b"New password" not in shown:
            shown += os.read(terminal, 1000)
        os.write(terminal, b"\x03")
        assert process.wait(END_SECONDS) == 130
        assert b"Traceback" not in shown
    os.close(terminal)
