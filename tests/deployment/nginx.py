"""Runs nginx with a configuration of ours, in which what the test replaces is another."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.calling import DEADLINE_SECONDS


@contextlib.contextmanager
def running(
    program: str, configuration: Path, replaced: Mapping[str, str], listens: Mapping[str, str]
) -> Iterator[dict[str, int]]:
    """Nginx; yields the port in place of each written one. `listens` has what follows a port: `{"443": " ssl"}`.

    It inherits the sockets by the variable NGINX, so no port is free in between, and a client can connect at once.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sockets = {port: stack.enter_context(socket.create_server(("127.0.0.1", 0))) for port in listens}
        ports = {port: int(listening.getsockname()[1]) for port, listening in sockets.items()}
        text = configuration.read_text("utf-8")
        for written, other in replaced.items():
            assert written in text, written
            text = text.replace(written, other)
        for port, rest in listens.items():
            assert text.count(f"listen {port}{rest};") == 1, port
            text = text.replace(f"listen {port}{rest};", f"listen 127.0.0.1:{ports[port]}{rest};")
        (folder / "nginx.conf").write_text(text, "utf-8")
        descriptors = [listening.fileno() for listening in sockets.values()]
        for listening in sockets.values():
            listening.setblocking(False)
        environment = os.environ | {"NGINX": "".join(f"{descriptor};" for descriptor in descriptors)}
        command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
        process = subprocess.Popen(command, env=environment, pass_fds=descriptors)
        try:
            yield ports
        finally:
            process.terminate()
            assert process.wait(DEADLINE_SECONDS) == 0
