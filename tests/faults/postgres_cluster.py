"""A PostgreSQL of one's own, which can be stopped, killed and frozen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from tests.postgres_standby import run_program
from tests.processes import children_of

DEADLINE_SECONDS = 60
# No test cuts the power. What is asked of it is little, so it starts soon.
_SETTINGS = "fsync = off\nautovacuum = off\nmax_connections = 60\nlisten_addresses = ''\n"


class Cluster:
    """A server and its folder."""

    def __init__(self, folder: Path, system_user: str | None) -> None:
        self.folder = folder
        self.data = folder / "data"
        # Whom its processes belong to, if not to this one's user: PostgreSQL does not run as root.
        self.system_user = system_user

    @property
    def socket(self) -> Path:
        return self.folder / ".s.PGSQL.5432"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def make(self) -> None:
        """Make the folder of data, and start."""
        self.run(
            "initdb", "--auth=trust", "--encoding=UTF8", "--locale=C", "-U", "postgres", "--no-sync", "-D", self.data
        )
        with (self.data / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"{_SETTINGS}unix_socket_directories = '{self.folder}'\n")
        self.start()

    def start(self) -> None:
        self.run("pg_ctl", "-D", self.data, "-w", "-l", self.folder / "log", "start")

    def stop(self, mode: str) -> None:
        """`fast` or `immediate`, as pg_ctl names them."""
        self.run("pg_ctl", "-D", self.data, "-w", "-m", mode, "stop")

    def kill(self) -> None:
        """kill -9 of all its processes at once, as when a container is killed."""
        killed = self._signal(signal.SIGKILL)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while any(Path(f"/proc/{pid}/cmdline").exists() and _is_alive(pid) for pid in killed):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        # Until somebody reaps the first process its id is taken, and the next start would refuse.
        for lock in (self.data / "postmaster.pid", self.folder / f"{self.socket.name}.lock"):
            lock.unlink(missing_ok=True)

    def freeze(self) -> None:
        """All its processes stand still; the kernel goes on to take connections for it."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def execute(self, *statements: str, database: str = "postgres") -> None:
        asyncio.run(self._execute(statements, database))

    def value(self, sql: str, *values: Any) -> Any:
        return asyncio.run(self._value(sql, values))

    async def _execute(self, statements: tuple[str, ...], database: str) -> None:
        connection = await asyncpg.connect(self.url(database))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def _value(self, sql: str, values: tuple[Any, ...]) -> Any:
        connection = await asyncpg.connect(self.url())
        try:
            return await connection.fetchval(sql, *values)
        finally:
            await connection.close()

    def _signal(self, number: signal.Signals) -> list[int]:
        """To the first process and its children; none if it does not run."""
        try:
            first = int((self.data / "postmaster.pid").read_text().partition("\n")[0])
            # While the list of its children is read it stands still, since the list may lack some otherwise (proc(5)),
            # and it would start others for those that die.
            os.kill(first, signal.SIGSTOP)
            children = children_of(first)
        except (OSError, ValueError):
            return []
        found = [*children, first]
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return found

    def run(self, program: str, *arguments: object) -> None:
        run_program(self.system_user, program, *arguments, seconds=DEADLINE_SECONDS)


def _is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    return False


@contextmanager
def cluster(system_user: str | None) -> Iterator[Cluster]:
    """A running server; gone at the end, whatever state it is in."""
    # A short path: a Unix socket's may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="pgf", dir="/tmp") as name:
        made = Cluster(Path(name), system_user)
        if system_user is not None and os.geteuid() == 0:
            shutil.chown(made.folder, system_user)
        try:
            made.make()
            yield made
        finally:
            made.kill()
