"""Standard streams that are closed, full, or read by nobody."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests import in_process
from tests.listening import free_port
from tests.process.server_process import DEADLINE_SECONDS, environment

CLOSED = "output: it can't be written (Bad file descriptor)\n"
NO_PASSWORD = "there is no password"


def run_with(folder: Path, redirections: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command with its streams as a shell was told."""
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-m", "server", *arguments],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


@pytest.mark.parametrize(
    ("redirections", "arguments", "outcome"),
    [
        (">&-", ["audit", "export"], (1, "", CLOSED)),
        ("<&- >&- 2>&-", ["audit", "list"], (1, "", "")),
        ("2>/dev/full", ["users", "delete", "nobody"], (1, "", "")),
        ("<&-", ["users", "import", "-", "--format", "csv"], (1, "", "file: standard input is closed")),
        ("0>/dev/null", ["users", "set-password", "lak"], (2, "", NO_PASSWORD)),
        ("<&- 2>&-", ["users", "set-role", "lak", "admin"], (0, "lak has the role admin", "")),
    ],
)
def test_what_can_be_said_is_said(
    store: Path, redirections: str, arguments: list[str], outcome: tuple[int, str, str]
) -> None:
    code, stdout, stderr = outcome
    done = run_with(store, redirections, *arguments)
    assert done.returncode == code, done
    assert stdout in done.stdout
    assert bool(stdout) == bool(done.stdout)
    assert stderr in done.stderr
    assert bool(stderr) == bool(done.stderr)
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    assert in_process.run(folder, "users", "create", "--username", "lak", "--role", "customer").returncode == 0
    return folder


def test_no_file_of_ours_gets_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    """What is printed must never get into the database."""
    (tmp_path / "look.py").write_text(
        "import os, sys\n"
        "from server.cli.streams import hold_standard_streams\n"
        "for number in (0, 1, 2): os.close(number)\n"
        "sys.stdin = sys.stdout = sys.stderr = None\n"
        "hold_standard_streams()\n"
        "opened = os.open('database', os.O_RDWR | os.O_CREAT)\n"
        "print('lost', file=sys.stderr)\n"
        "try: print('never there', flush=True)\n"
        "except OSError: os.write(opened, str(opened).encode())\n"
    )
    environment_of = environment()
    subprocess.run([sys.executable, "look.py"], cwd=tmp_path, env=environment_of, check=False, timeout=DEADLINE_SECONDS)
    assert int((tmp_path / "database").read_text()) > 2


def test_a_server_without_standard_streams_serves_and_ends(store: Path) -> None:
    port = free_port()
    command = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-m", "server"]
    with subprocess.Popen(command, cwd=store, env=environment(WATCHWORD__SERVER__PORT=str(port))) as process:
        try:
            answer = None
            while answer is None and process.poll() is None:
                with (
                    contextlib.suppress(OSError),
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready") as it,
                ):
                    answer = it.status
                time.sleep(0.01)
            assert answer == 200
            held = [os.path.realpath(f"/proc/{process.pid}/fd/{number}") for number in (0, 1, 2)]
            assert held == ["/dev/null"] * 3
            process.terminate()
            assert process.wait(DEADLINE_SECONDS) == 0
        finally:
            process.kill()
