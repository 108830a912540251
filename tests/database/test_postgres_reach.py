"""Calls of a PostgreSQL that does not answer: they fail soon, do not pile up, and go on as soon as it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest

from server.core.errors import StoreUnavailable
from server.database.driver import Transaction
from server.database.postgres import pool
from server.database.postgres.driver import PostgresDriver
from server.database.postgres.reach import Reach
from server.settings.tree import StoreSettings
from tests.postgres_proxy import PostgresProxy

# Where something else would wait for ever.
BOUND_SECONDS = 30


@pytest.fixture
def url(postgres_proxy: PostgresProxy, postgres_url: str) -> str:
    return postgres_proxy.url(urlsplit(postgres_url).path[1:])


@asynccontextmanager
async def opened(url: str, pool_size: int = 3) -> AsyncIterator[PostgresDriver]:
    driver = await PostgresDriver.open(StoreSettings(url=url, pool_size=pool_size), serving=True)
    try:
        yield driver
    finally:
        async with asyncio.timeout(BOUND_SECONDS):
            await driver.close()


def reach_of(driver: PostgresDriver) -> Reach:
    reach = driver._pool.reach
    assert reach is not None
    return reach


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND_SECONDS):
        while not happened():  # noqa: ASYNC110 - nothing else tells of it
            await asyncio.sleep(0.01)


async def well_again(driver: PostgresDriver) -> None:
    await until(lambda: not reach_of(driver).is_away)
    assert [tuple(row) for row in await driver.read("SELECT 1")] == [(1,)]


@asynccontextmanager
async def busy(driver: PostgresDriver) -> AsyncIterator[None]:
    """One connection is in use."""
    begun, over = asyncio.Event(), asyncio.Event()

    async def unit(transaction: Transaction) -> None:
        await transaction.run("SELECT 1")
        begun.set()
        await over.wait()

    work = asyncio.create_task(driver.write(unit))
    await begun.wait()
    yield
    over.set()
    await work


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "refusing"])
async def test_nobody_waits_for_a_database_that_is_known_to_be_away(
    url: str, postgres_proxy: PostgresProxy, silent: bool
) -> None:
    async with opened(url) as driver:
        if silent:
            postgres_proxy.hold(new_too=True)
        else:
            await postgres_proxy.refuse()
        with pytest.raises(StoreUnavailable):
            await driver.read("SELECT 1")
        await until(lambda: reach_of(driver).is_away)
        answers = await asyncio.gather(*(driver.read("SELECT 1") for _ in range(500)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {StoreUnavailable}
        # And they have not waited: to the loop this was one step.
        call = asyncio.create_task(driver.write_one("DELETE FROM guesses"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert call.done()
        assert isinstance(call.exception(), StoreUnavailable)
        if silent:
            postgres_proxy.release()
        else:
            await postgres_proxy.listen()
        await well_again(driver)


async def test_who_waits_for_a_connection_is_told_when_the_database_is_found_to_be_away(
    url: str, postgres_proxy: PostgresProxy
) -> None:
    async with opened(url, pool_size=1) as driver:
        postgres_proxy.hold(new_too=True)
        first = asyncio.create_task(driver.read("SELECT 1"))
        waiting = [asyncio.create_task(driver.read("SELECT 1")) for _ in range(20)]
        await until(lambda: len(driver._pool._waiting) == 20)
        reach_of(driver).suspect()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert {getattr(answer, "reason", None) for answer in done} == {"PostgreSQL does not answer"}
        # The one that has the connection may still be answered. It is not cut off.
        assert not first.done()
        postgres_proxy.release()
        with pytest.raises(StoreUnavailable):
            await first
        await well_again(driver)


async def test_connections_that_there_are_go_on_where_no_new_one_can_be_made(
    url: str, postgres_proxy: PostgresProxy
) -> None:
    """As when the name of the host is lost, or the password is another one."""
    async with opened(url) as driver:
        await driver.read("SELECT 1")
        postgres_proxy.refuse_new()
        async with asyncio.timeout(BOUND_SECONDS):
            rows = await asyncio.gather(*(driver.read("SELECT 1") for _ in range(50)))
        assert len(rows) == 50
        assert not reach_of(driver).is_away
        await postgres_proxy.listen()


async def test_a_lock_is_no_absence(url: str, postgres_url: str) -> None:
    holder = await asyncpg.connect(postgres_url)
    async with opened(url) as driver:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("LOCK TABLE watchword.guesses")
        with pytest.raises(StoreUnavailable):
            await driver.write_one("DELETE FROM guesses")
        reach_of(driver).suspect()
        assert len(await driver.read("SELECT 1")) == 1
        assert not reach_of(driver).is_away
        await transaction.rollback()
        await driver.write_one("DELETE FROM guesses")
    await holder.close()


async def test_only_so_many_wait_for_a_connection(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "WAITING_CALLS", 5)
    async with opened(url, pool_size=1) as driver:
        async with busy(driver):
            calls = [asyncio.create_task(driver.read("SELECT 1")) for _ in range(20)]
            await until(lambda: sum(call.done() for call in calls) == 15)
        results = await asyncio.gather(*calls, return_exceptions=True)
        refused = [result for result in results if isinstance(result, StoreUnavailable)]
        assert {failure.reason for failure in refused} == {"too many calls wait for a connection"}
        assert len(results) - len(refused) == 5
