"""A server that is started before its database."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from server.core.errors import StoreRefused, StoreUnavailable
from server.database.open import wait_for_database
from server.database.postgres import waiting
from server.settings.tree import StoreSettings
from tests.postgres import PostgresServer
from tests.postgres_proxy import PostgresProxy

BOUND_SECONDS = 20


@pytest.fixture
def database(postgres_url: str) -> str:
    return urlsplit(postgres_url).path[1:]


def message(code: bytes, text: bytes) -> bytes:
    """As PostgreSQL and PgBouncer say why they take no connection."""
    fields = b"SFATAL\0VFATAL\0C" + code + b"\0M" + text + b"\0\0"
    return b"E" + (4 + len(fields)).to_bytes(4) + fields


async def test_a_database_that_is_not_there_yet_is_waited_for(
    postgres_proxy: PostgresProxy, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses, starts, is full, or is behind a pooler that can't reach it. Said once, and when it is over."""
    monkeypatch.setattr(waiting, "PAUSE_SECONDS", 0.05)
    answers = [
        message(b"57P03", b"the database system is starting up"),
        message(b"53300", b"sorry, too many clients already"),
        message(b"08P01", b"pgbouncer cannot connect to server"),
        message(b"08P01", b"the database system is starting up"),
    ]
    url = postgres_proxy.url(database)
    await postgres_proxy.refuse()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(answers.pop(0))
        writer.close()
        if not answers:
            starting.close()
            await postgres_proxy.listen()

    with capture_logs() as lines:
        wait = asyncio.create_task(wait_for_database(StoreSettings(url=url)))
        async with asyncio.timeout(BOUND_SECONDS):
            while not lines:  # noqa: ASYNC110 - the log has no event
                await asyncio.sleep(0.01)
            starting = await asyncio.start_server(answer, "127.0.0.1", urlsplit(url).port)
            await wait
    assert [line["event"] for line in lines] == ["waiting for PostgreSQL", "PostgreSQL is there now"]
    assert "can't be reached" in lines[0]["reason"]
    assert not answers


async def test_the_wait_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(waiting, "PAUSE_SECONDS", 0.05)
    for url in ("postgresql://me@127.0.0.1:1/db", "postgresql://me@db.invalid/db", "postgresql://me@/db?host=/nowhere"):
        async with asyncio.timeout(BOUND_SECONDS):
            with pytest.raises(StoreUnavailable) as caught:
                await wait_for_database(url)
        assert "can't be reached" in caught.value.detail


async def test_what_does_not_pass_by_itself_is_not_waited_for(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "WAIT_SECONDS", 3600.0)
    with capture_logs() as lines:
        for url, problem in (
            (postgres_server.url("absent"), 'database "absent" does not exist'),
            (postgres_server.url().replace("postgres:@", "nobody:wrong@"), 'role "nobody" does not exist'),
            ("postgresql://me@127.0.0.1:1/db?sslmode=verify-ca", "needs sslrootcert="),
        ):
            async with asyncio.timeout(BOUND_SECONDS):
                with pytest.raises(StoreRefused, match=problem):
                    await wait_for_database(url)
        for text in (
            b"password authentication failed for user",
            b"no such user: me",
            b"unsupported startup parameter: x",
        ):

            async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes = text) -> None:
                await reader.read(1000)
                writer.write(message(b"08P01", text))
                writer.close()

            async with await asyncio.start_server(refuse, "127.0.0.1", 0) as pooler, asyncio.timeout(BOUND_SECONDS):
                port = pooler.sockets[0].getsockname()[1]
                with pytest.raises(StoreRefused, match=text.decode()):
                    await wait_for_database(f"postgresql://me@127.0.0.1:{port}/db?sslmode=disable")
    assert lines == []


async def test_an_sqlite_file_is_not_waited_for(url: str) -> None:
    await wait_for_database(url)
