"""Starts `python -m server` as a user would, and stops it."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.calling import DEADLINE_SECONDS, Caller
from tests.environment import ROOT, environment

__all__ = ["DEADLINE_SECONDS", "ROOT", "ServerProcess", "environment", "run", "serving", "uncovered"]

# As Watchword says it, and as aiohttp does.
_LISTENS = re.compile(r"(?:listens|Running) on (http://\S+)")


def uncovered(env: Mapping[str, str]) -> dict[str, str]:
    """Without the measuring of what the tests reach, which has a handler of SIGTERM, and a file, of its own."""
    return {name: value for name, value in env.items() if not name.startswith("COVERAGE_")}


def run(
    folder: Path, *arguments: str, stdin: str = "", module: str = "server", **changes: str
) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env=environment(**changes),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


class ServerProcess(Caller):
    """A server that has said where it listens."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self._log = log
        self.banner = ""
        found = None
        assert process.stdout is not None
        for line in process.stdout:
            self.banner += line
            found = _LISTENS.search(line)
            if found:
                break
        assert found, f"the server did not start:\n{self.banner}\n{self.log()}"
        super().__init__(found[1])

    def admin_password(self) -> str:
        found = re.search(r"password  (\S+)", self.banner)
        assert found, self.banner
        return found[1]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_SECONDS)

    def log(self) -> str:
        """Standard error so far."""
        return self._log.read_text("utf-8")


@contextlib.contextmanager
def serving(
    folder: Path,
    *arguments: str,
    log_to: Path | None = None,
    module: str = "server",
    under: Sequence[str] = (),
    **changes: str,
) -> Iterator[ServerProcess]:
    """A running server; killed at the end if the test did not stop it.

    `under` is a program that runs it, and becomes it, such as a tracer.
    """
    log = log_to or folder / f"stderr-{time.monotonic_ns()}.log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [*under, sys.executable, "-u", "-m", module, *arguments],
            cwd=folder,
            env=environment(**changes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        try:
            yield ServerProcess(process, log)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
