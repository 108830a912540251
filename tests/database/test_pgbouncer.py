"""PgBouncer between, in each of its modes: what works is right, and what can't is refused with what to set."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from server.core.errors import StoreRefused, StoreUnavailable
from server.database.driver import Transaction
from server.database.open import apply_migrations, open_driver, pending_migrations, require_notifications
from server.database.postgres import pooler
from server.settings.tree import StoreSettings
from tests.calling import PAUSE_SECONDS
from tests.pgbouncer import pgbouncer
from tests.postgres import PostgresServer
from tests.running import StartApi

BOUND_SECONDS = 30
on_postgres = pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
LEFT_IN_THE_SESSION = (
    "SET search_path = public; SET statement_timeout = 0; SET synchronous_commit = off; "
    "CREATE TEMP TABLE users (id TEXT)"
)
# What makes some poolers take settings and forget them.
FORGETS = (
    "ignore_startup_parameters = search_path, jit, max_parallel_workers_per_gather, statement_timeout, lock_timeout, "
    "idle_in_transaction_session_timeout"
)


@on_postgres
@pytest.mark.parametrize(("mode", "more"), [("session", ""), ("transaction", ""), ("session", FORGETS)])
async def test_two_nodes_behind_a_pooler_are_as_without(
    start_api: StartApi, postgres_server: PostgresServer, migrated_postgres_url: str, mode: str, more: str
) -> None:
    url = migrated_postgres_url
    with pgbouncer(postgres_server, url, mode, more=more) as pooled:
        store = StoreSettings(url=pooled, listen_url=url if mode == "transaction" else "")
        one, two = [await start_api(url=pooled, store=store) for _ in range(2)]
        logins = await asyncio.gather(*(one.log_in("lak") for _ in range(12)))
        assert len({login["refresh_token"] for login in logins}) == 12
        token = logins[0]["token"]
        assert (await two.request("GET", "/me", token)).status == 200
        refreshed = await two.request("POST", "/refresh", json={"refresh_token": logins[1]["refresh_token"]})
        assert refreshed.status == 200
        assert (await one.request("POST", "/logout", token)).status == 204
        async with asyncio.timeout(BOUND_SECONDS):
            while (await two.request("GET", "/me", token)).status == 200:  # noqa: ASYNC110
                await asyncio.sleep(PAUSE_SECONDS)
        await one.client.close()
        await two.client.close()
        for api in (one, two):
            await api.services.repositories.close()


@pytest.mark.parametrize("mode", ["session", "transaction"])
async def test_every_statement_has_its_schema_and_limits_whatever_others_left_in_the_session(
    postgres_server: PostgresServer, migrated_postgres_url: str, mode: str
) -> None:
    """Another client of the pool may set what it likes, and make temporary tables, whose schema is searched first."""
    url = migrated_postgres_url
    with pgbouncer(postgres_server, url, mode, size=5) as pooled:
        strangers = [await asyncpg.connect(pooled, statement_cache_size=0) for _ in range(3)]
        # At the same time, so each has a session of its own.
        for step in ("BEGIN", LEFT_IN_THE_SESSION, "COMMIT"):
            for stranger in strangers:
                await stranger.execute(step)
        store = StoreSettings(url=pooled, listen_url=url, pool_size=2, statement_timeout_seconds=1)
        driver = await open_driver(store, serving=True)
        settings = (
            "SELECT current_setting('statement_timeout') AS limit, current_setting('synchronous_commit') AS settled, "
            "current_setting('idle_in_transaction_session_timeout') AS idle, current_setting('jit') AS jit, "
            "current_setting('transaction_isolation') AS isolation, 'users'::regclass::oid AS users"
        )

        async def unit(transaction: Transaction) -> tuple[object, ...]:
            return tuple((await transaction.run(settings))[0])

        direct = await asyncpg.connect(url)
        users = await direct.fetchval("SELECT 'watchword.users'::regclass::oid")
        await direct.close()
        expected = ("1s", "on", "1s", "off", "read committed", users)
        for _ in range(3):
            found = await asyncio.gather(driver.write(unit), driver.write(unit))
            assert list(found) == [expected, expected]
            assert tuple((await driver.read(settings))[0]) == expected
            assert tuple((await driver.write_one(settings))[0]) == expected
            assert tuple((await driver.read_soon(settings))[0]) == expected
        # What we set ends with our transaction, and does not reach the others.
        assert not {await stranger.fetchval("SHOW search_path") for stranger in strangers} - {"public"}
        with pytest.raises(StoreUnavailable) as caught:
            await driver.write_one("SELECT pg_sleep(60)")
        assert "statement timeout" in str(caught.value.reason)
        await driver.close()
        for stranger in strangers:
            stranger.terminate()


async def test_what_can_not_work_behind_a_pooler_is_refused_with_what_to_set(
    postgres_server: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooler, "HEAR_SECONDS", 0.3)

    async def refusal(**settings: str) -> str:
        with pytest.raises((StoreRefused, StoreUnavailable)) as caught:
            await open_driver(StoreSettings(**settings), serving=True)
        text = str(getattr(caught.value, "detail", caught.value))
        # As `doctor` says it.
        with pytest.raises((StoreRefused, StoreUnavailable)) as found:
            await require_notifications(StoreSettings(**settings))
        assert str(getattr(found.value, "detail", found.value)) == text
        assert "\n" not in text
        return text

    with pgbouncer(postgres_server, postgres_url, "transaction") as pooled:
        assert "set store.listen_url to the URL of PostgreSQL itself" in await refusal(url=pooled)
        assert "goes through a pooler in transaction mode too" in await refusal(
            url=pooled, listen_url=f"{pooled}?application_name=x"
        )
        assert "it is another database" in await refusal(url=pooled, listen_url=postgres_server.url())
        assert "check store.listen_url" in await refusal(url=pooled, listen_url="postgresql://me@127.0.0.1:1/db")
        # A command does not listen. But what is set for a migration would be lost between its statements.
        with pytest.raises(StoreRefused, match=r"set store\.listen_url"):
            await apply_migrations(StoreSettings(url=pooled))
        assert await pending_migrations(postgres_url)
        store = StoreSettings(url=pooled, listen_url=postgres_url)
        await require_notifications(store)
        assert await apply_migrations(store)
        command = await open_driver(StoreSettings(url=pooled), serving=False)
        assert [tuple(row) for row in await command.read("SELECT id FROM users")] == []
        await command.close()
        assert "options" in await refusal(url=f"{pooled}?options=-c%20geqo%3Doff", listen_url=postgres_url)
    with pgbouncer(postgres_server, postgres_url, "statement") as pooled:
        assert "set pool_mode = session" in await refusal(url=pooled)


async def test_a_new_store_is_made_through_a_pooler(postgres_server: PostgresServer, postgres_url: str) -> None:
    with pgbouncer(postgres_server, postgres_url, "session", size=3) as pooled:
        assert await apply_migrations(pooled)
        assert await pending_migrations(pooled) == []
    assert await pending_migrations(postgres_url) == []


@on_postgres
async def test_a_pooler_that_is_full_makes_requests_wait(
    start_api: StartApi, postgres_server: PostgresServer, migrated_postgres_url: str
) -> None:
    url = migrated_postgres_url
    with pgbouncer(postgres_server, url, "transaction", size=1, more="max_client_conn = 3") as pooled:
        api = await start_api(url=pooled, store=StoreSettings(url=pooled, listen_url=url))
        logins = await asyncio.gather(*(api.log_in("lak") for _ in range(12)))
        assert len(logins) == 12
        await api.client.close()
        await api.services.repositories.close()
