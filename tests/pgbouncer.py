"""A PgBouncer before the PostgreSQL of the tests, from Debian's package."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.listening import free_port
from tests.needed import require
from tests.postgres_standby import Primary

# Debian keeps it where only the path of root leads.
PROGRAM = os.environ.get("PGBOUNCER") or shutil.which("pgbouncer", path=f"{os.environ.get('PATH')}:/usr/sbin")
DEADLINE_SECONDS = 30

_CONFIGURATION = """
[databases]
* = host={socket} port=5432
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
logfile = {folder}/log
pool_mode = {mode}
default_pool_size = {size}
{more}
"""


@contextlib.contextmanager
def pgbouncer(server: Primary, store_url: str, mode: str, *, size: int = 30, more: str = "") -> Iterator[str]:
    """The URL of the database through a pooler in this mode. Skips the test where there is no PgBouncer."""
    require({"pgbouncer": PROGRAM})
    assert PROGRAM is not None
    with tempfile.TemporaryDirectory(prefix="bouncer") as name:
        folder = Path(name)
        port = free_port()
        (folder / "users").write_text('"postgres" ""\n"serving" ""\n')
        (folder / "ini").write_text(
            _CONFIGURATION.format(
                socket=server.socket.parent, port=port, folder=folder, mode=mode, size=size, more=more
            )
        )
        if server.system_user is not None and os.geteuid() == 0:
            # It does not run as root either, and may use the socket of the server as that user.
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, server.system_user)
        process = subprocess.Popen(
            [PROGRAM, "-q", str(folder / "ini")],
            user=server.system_user if os.geteuid() == 0 else None,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        try:
            _wait_until_it_listens(port)
            yield f"postgresql://postgres@127.0.0.1:{port}{urlsplit(store_url).path}"
        finally:
            process.kill()
            process.wait()


def _wait_until_it_listens(port: int) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        assert time.monotonic() < deadline, "PgBouncer does not listen"
        time.sleep(0.02)
