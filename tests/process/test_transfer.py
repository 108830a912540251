"""`users import` as a process: killed, interrupted, and with a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.in_process import run
from tests.process.server_process import DEADLINE_SECONDS, environment
from tests.users.transfer.rows import write_rows


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_import_that_is_ended_is_taken_up_without_doubling_anybody(tmp_path: Path, number: signal.Signals) -> None:
    count = 5_000
    write_rows(tmp_path / "users.jsonl", [{"username": f"user{number}"} for number in range(count)])
    assert run(tmp_path, "migrate").returncode == 0
    with subprocess.Popen(
        [sys.executable, "-m", "server", "users", "import", "users.jsonl"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        log = tmp_path / "data" / "watchword.db-wal"
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not log.exists() or log.stat().st_size < 250_000:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(number)
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode != 0
    assert b"Traceback" not in said
    if number is signal.SIGINT:
        told = re.search(rb"imported (\d+), already there 0, refused 0, or more; run it again to go on", said)
        assert told is not None
        assert 0 < int(told[1]) < count
    again = run(tmp_path, "users", "import", "users.jsonl", "--json")
    counts = json.loads(again.stdout)
    assert again.returncode == 0
    assert counts["imported"] + counts["already_there"] == count
    assert 0 < counts["already_there"] < count
    names = [json.loads(line)["username"] for line in run(tmp_path, "users", "export").stdout.splitlines()]
    assert sorted(names) == sorted(f"user{number}" for number in range(count))


def _output_of(terminal: int, process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    while select.select([terminal], [], [], DEADLINE_SECONDS)[0]:
        try:
            yield os.read(terminal, 65536)
        except OSError:
            # The last writer has closed it.
            process.wait()
            return


def test_progress_is_shown_on_a_terminal_and_refusals_stay_readable(tmp_path: Path) -> None:
    rows = [{"username": f"user{number}"} for number in range(3000)]
    write_rows(tmp_path / "users.jsonl", [*rows, {"username": "king", "role": "[red]king :smile:"}])
    terminal, its_end = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "server", "users", "import", "users.jsonl"],
        cwd=tmp_path,
        env=environment(TERM="xterm", COLUMNS="80"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=its_end,
    ) as process:
        os.close(its_end)
        shown = b"".join(_output_of(terminal, process)).decode()
        os.close(terminal)
        assert process.stdout is not None
        assert process.stdout.read() == b"imported 3000, already there 0, refused 1\n"
    assert process.returncode == 1
    assert "importing" in shown
    assert "100%" in shown
    assert "line 3001: king: there is no role '[red]king :smile:'; roles: customer, admin" in shown
