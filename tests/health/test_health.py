"""Readiness is told by a write, for all who ask within a second, and at once."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from server.core.errors import StoreUnavailable
from server.database.driver import Driver
from server.database.sqlite import waiting_unit
from server.database.sqlite.contents import beside
from server.health import service as readiness
from server.health.errors import DETAILS
from server.health.repository import ReadinessRepository
from server.health.service import FRESH_SECONDS
from tests.locks import sqlite_lock, write_lock
from tests.running import Api

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
# Far above what an answer takes.
BOUND_SECONDS = 30


@pytest.fixture(autouse=True)
def _any_machine_is_quick_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else of a write that takes long nothing is told but that it does."""
    monkeypatch.setattr(readiness, "WAIT_SECONDS", 2 * BOUND_SECONDS)


def _driver(api: Api) -> Any:
    store: Any = api.services.repositories
    return store.driver


async def _writes(api: Api) -> list[tuple[int, int]]:
    driver: Driver = _driver(api)
    return [(row[0], row[1]) for row in await driver.read("SELECT id, writes FROM readiness")]


async def _assert_unready(api: Api, *reasons: str) -> None:
    """Also for who asks again before anything is tried again; but the process lives, and this is no defect of it."""
    api.clock.advance(FRESH_SECONDS)
    for _ in range(2):
        async with asyncio.timeout(BOUND_SECONDS):
            response = await api.request("GET", "/health/ready")
        body = await api.problem(response, 503, "store_unavailable")
        assert body["reason"] in reasons
        assert body["detail"] == DETAILS[body["reason"]]
        assert response.headers["Retry-After"] == "1"
    assert (await api.request("GET", "/health/live")).status == 200


async def _assert_ready(api: Api) -> None:
    api.clock.advance(FRESH_SECONDS)
    response = await api.request("GET", "/health/ready")
    assert (response.status, await response.json()) == (200, {"status": "ok"})


async def test_however_many_ask_there_is_one_write_in_a_second_and_one_row(api: Api) -> None:
    ((number, before),) = await _writes(api)
    answers = await asyncio.gather(*(api.request("GET", "/health/ready") for _ in range(50)))
    assert {answer.status for answer in answers} == {200}
    assert await _writes(api) == [(number, before + 1)]
    assert (await api.request("HEAD", "/health/ready")).status == 200
    assert await _writes(api) == [(number, before + 1)]
    await _assert_ready(api)
    # A clock that was set back does not keep an old answer.
    api.clock.advance(-3600)
    await _assert_ready(api)
    assert await _writes(api) == [(number, before + 3)]


@SQLITE
async def test_what_fails_is_told_until_it_is_well_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(error: Exception) -> Callable[[Any], Awaitable[None]]:
        async def ping(_: Any) -> None:
            raise error

        return ping

    for error, reason in ((StoreUnavailable(), "store_away"), (RuntimeError("a defect"), "check_failed")):
        with monkeypatch.context() as patched:
            patched.setattr(ReadinessRepository, "ping", fails(error))
            await _assert_unready(api, reason)
        await _assert_ready(api)


@SQLITE
async def test_a_store_that_says_why_it_takes_no_writes_is_quoted(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ping(_: Any) -> None:
        failure = StoreUnavailable()
        failure.detail, failure.members = "The store is being moved.", {"reason": "store_moving"}
        raise failure

    monkeypatch.setattr(ReadinessRepository, "ping", ping)
    body = await api.problem(await api.request("GET", "/health/ready"), 503, "store_unavailable")
    assert (body["reason"], body["detail"]) == ("store_moving", "The store is being moved.")


@SQLITE
@pytest.mark.parametrize("key", ["signing_key", "token_key"])
async def test_without_the_keys_of_a_login_none_could_succeed(
    api: Api, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    def missing(*_: Any) -> None:
        raise StoreUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(type(api.services.keys.current), key, missing)
        await _assert_unready(api, "no_signing_key")
    await _assert_ready(api)


@SQLITE
async def test_a_write_that_takes_long_is_not_waited_for_and_not_begun_twice(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = 0, asyncio.Event()

    async def slow(_: Any) -> None:
        nonlocal begun
        begun += 1
        await go_on.wait()

    monkeypatch.setattr(ReadinessRepository, "ping", slow)
    with monkeypatch.context() as patched:
        patched.setattr(readiness, "WAIT_SECONDS", 0.05)
        await _assert_unready(api, "store_slow")
        await _assert_unready(api, "store_slow")
    assert begun == 1
    go_on.set()
    await _assert_ready(api)


@contextmanager
def _full_disk(path: Path) -> Iterator[None]:
    """No file can get longer, which is told to SQLite as by a disk with a quota."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (beside(path, "-wal").stat().st_size, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@SQLITE
@pytest.mark.usefixtures("no_background")
async def test_an_sqlite_store_that_takes_no_write_is_not_ready(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, connection = tmp_path / "watchword.db", _driver(api)._writer._connection
    with _full_disk(path):
        await _assert_unready(api, "store_full")
    await _assert_ready(api)
    for locked in (write_lock, sqlite_lock):
        with locked(path), monkeypatch.context() as patched:
            # Nobody lets go of the lock meanwhile, so it need not be waited for.
            patched.setattr(waiting_unit, "BEGIN_SECONDS", 0.1)
            await _assert_unready(api, "store_locked")
        await _assert_ready(api)
    await connection.execute_fetchall("PRAGMA query_only = ON")
    await _assert_unready(api, "store_read_only")
    await connection.execute_fetchall("PRAGMA query_only = OFF")
    await _assert_ready(api)
    beside(path, "-wal").unlink()
    await _assert_unready(api, "store_away")


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
async def test_a_postgresql_that_only_reads_is_not_ready(api: Api, store_url: str) -> None:
    """As a standby, or after a failover to one that was not promoted."""
    connection = await asyncpg.connect(store_url)
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    others = "FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()"
    await connection.execute(f"SELECT pg_terminate_backend(pid) {others}", name)
    # The connections that were lost may be told of first.
    await _assert_unready(api, "store_read_only", "store_away")
    await connection.execute("SET default_transaction_read_only = off")
    await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
    await connection.execute(f"SELECT pg_terminate_backend(pid) {others}", name)
    await connection.close()
    async with asyncio.timeout(BOUND_SECONDS):
        while (await api.request("GET", "/health/ready")).status != 200:
            api.clock.advance(FRESH_SECONDS)
