"""Runs nginx with the example's own file, in which only the three addresses are others."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.process.server_process import DEADLINE_SECONDS, ROOT

EXAMPLE = ROOT / "examples" / "nginx" / "nginx.conf"
LISTEN, WATCHWORD, APPLICATION = "127.0.0.1:8000", "127.0.0.1:8080", "127.0.0.1:3000"


def nginx_program() -> str | None:
    """Where an nginx with auth_request is. On Debian it is in /usr/sbin, which not every PATH has."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if program is None:
        return None
    built_with = subprocess.run([program, "-V"], capture_output=True, text=True, check=True).stderr
    return program if "http_auth_request_module" in built_with else None


@dataclass(frozen=True)
class Nginx:
    port: int
    process: subprocess.Popen[bytes]
    _log: Path

    def log(self) -> str:
        """What it has complained about so far."""
        return self._log.read_text("utf-8")


def configuration(port: int, watchword: str, application: str) -> str:
    """The example's file for these addresses."""
    text = EXAMPLE.read_text("utf-8")
    for written, real in ((LISTEN, f"127.0.0.1:{port}"), (WATCHWORD, watchword), (APPLICATION, application)):
        assert text.count(f" {written};") == 1, written
        text = text.replace(f" {written};", f" {real};")
    return text


@contextlib.contextmanager
def running_nginx(program: str, watchword: str, application: str) -> Iterator[Nginx]:
    """Nginx in front of both.

    It inherits the socket, by the variable NGINX, as if it took over from another nginx. So the port is never free in
    between, and a client can connect at once.
    """
    with tempfile.TemporaryDirectory() as name, socket.create_server(("127.0.0.1", 0)) as listening:
        folder = Path(name)
        folder.chmod(0o755)  # when root starts it, its workers are somebody else
        listening.setblocking(False)
        port, descriptor = listening.getsockname()[1], listening.fileno()
        (folder / "nginx.conf").write_text(configuration(port, watchword, application), "utf-8")
        command = [program, "-p", name, "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
        environment = os.environ | {"NGINX": f"{descriptor};"}
        tried = subprocess.run(
            [*command, "-t"], env=environment, pass_fds=[descriptor], capture_output=True, text=True, check=False
        )
        assert tried.returncode == 0, tried.stderr
        assert "[warn]" not in tried.stderr
        log = folder / "stderr.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(command, env=environment, pass_fds=[descriptor], stderr=stderr)
        listening.close()
        try:
            yield Nginx(port, process, log)
        finally:
            process.terminate()
            process.wait(DEADLINE_SECONDS)
