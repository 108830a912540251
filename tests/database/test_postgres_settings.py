"""The size of the pool, the limits of time, and another schema."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from server.core.errors import StoreRefused, StoreUnavailable
from server.database.driver import Transaction
from server.database.open import apply_migrations, open_driver
from server.database.postgres.connect import Connector
from server.database.postgres.driver import PostgresDriver
from server.repositories import open_repositories
from server.settings.tree import StoreSettings
from tests.in_process import run
from tests.records import add_user, new_user, usernames
from tests.running import MASTER_KEY, PASSWORD, StartApi

BOUND_SECONDS = 30


async def connections_to(url: str) -> int:
    operator = await asyncpg.connect(url)
    try:
        found: int = await operator.fetchval(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'watchword'"
        )
        return found
    finally:
        await operator.close()


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("size", [1, 3])
async def test_a_pool_of_any_size_serves_many_at_once(start_api: StartApi, store_url: str, size: int) -> None:
    """With one connection too: no unit reads outside of its transaction, which would wait for itself."""
    api = await start_api(store=StoreSettings(url=store_url, pool_size=size))
    admin = await api.token("sahan")
    async with asyncio.timeout(BOUND_SECONDS):
        logins = await asyncio.gather(*(api.log_in("lak") for _ in range(8)))
        refreshes = [
            api.request("POST", "/refresh", json={"refresh_token": login["refresh_token"]}) for login in logins
        ]
        reads = [api.request("GET", "/users", admin) for _ in range(8)]
        made = [
            api.request("POST", "/users", admin, json={"username": f"u{n}", "name": "U", "role": "customer"})
            for n in range(4)
        ]
        answers = await asyncio.gather(*refreshes, *reads, *made, api.request("GET", "/health/ready"))
    assert {answer.status for answer in answers} == {200, 201}
    # And the one that listens.
    assert await connections_to(store_url) <= size + 1


async def test_the_limits_of_time_are_those_of_the_settings(migrated_postgres_url: str) -> None:
    store = StoreSettings(url=migrated_postgres_url, statement_timeout_seconds=1)
    driver = await open_driver(store, serving=True)
    for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
        assert (await driver.read(f"SHOW {name}"))[0][0] == "1s"
    with pytest.raises(StoreUnavailable) as caught:
        await driver.read("SELECT pg_sleep(60)")
    assert "statement timeout" in str(caught.value.reason)
    await driver.close()


async def test_two_schemas_of_one_database_do_not_meet(postgres_url: str) -> None:
    # A word of SQL is a name too.
    stores = [StoreSettings(url=postgres_url, schema_name=name) for name in ("watchword", "user", "two")]
    opened = [await open_repositories(store, serving=True) for store in stores]
    for number, store in enumerate(opened):
        await add_user(store, new_user(number))
    assert [await usernames(store) for store in opened] == [{"user0"}, {"user1"}, {"user2"}]
    first, second, _ = (store.driver for store in opened)
    # What one locks and announces is nothing to the other.
    locked, free = asyncio.Event(), asyncio.Event()

    async def lock(transaction: Transaction) -> None:
        await transaction.lock("keys")
        locked.set()
        await transaction.announce()
        await free.wait()

    async def lock_too(transaction: Transaction) -> None:
        await transaction.lock("keys")

    assert isinstance(second, PostgresDriver)
    # Ends when it listens.
    await second.wait_for_change(BOUND_SECONDS)
    holding = asyncio.create_task(first.write(lock))
    await locked.wait()
    await second.write(lock_too)
    free.set()
    await holding
    # By the connection that listens, so what it was told came before the answer.
    await second.read_soon("SELECT 1")
    assert not second._watch._changed.is_set()
    for store in opened:
        await store.close()


def test_commands_use_the_schema_of_the_settings(tmp_path: Path, postgres_url: str) -> None:
    environment = {
        "WATCHWORD__STORE__URL": postgres_url,
        "WATCHWORD__STORE__SCHEMA_NAME": "elsewhere",
        "WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY,
        "WATCHWORD__PASSWORDS__BCRYPT_COST": "4",
    }
    missing = run(tmp_path, "users", "list", **environment)
    assert "there is no store in the PostgreSQL database, in its schema elsewhere" in missing.stderr
    for command in (
        ("migrate", "--check"),
        ("migrate",),
        ("migrate", "--check"),
        ("users", "create", "--username", "ada", "--role", "admin", "--password-stdin"),
        ("users", "list"),
        ("users", "export", "-"),
        ("keys", "list"),
        ("audit", "verify"),
    ):
        done = run(tmp_path, *command, stdin=f"{PASSWORD}\n", **environment)
        assert "watchword." not in done.stderr, done.stderr

    async def schemas() -> set[str]:
        operator = await asyncpg.connect(postgres_url)
        rows = await operator.fetch("SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^(pg_|information_)'")
        await operator.close()
        return {row[0] for row in rows}

    assert asyncio.run(schemas()) == {"public", "elsewhere"}
    assert "ada" in run(tmp_path, "users", "list", **environment).stdout
    refused = run(tmp_path, "store", "backup", str(tmp_path / "x"), **environment)
    assert "pg_dump --schema=elsewhere" in refused.stderr


async def test_migrations_of_two_schemas_run_at_once(postgres_url: str) -> None:
    stores = [StoreSettings(url=postgres_url, schema_name=name) for name in ("one", "two")]
    first, second = await asyncio.gather(*map(apply_migrations, stores))
    assert first == second
    assert first


def test_what_is_wrong_with_a_url_is_said_of_the_setting_that_has_it() -> None:
    direct = StoreSettings(url="postgresql://me@127.0.0.1/db", listen_url="postgresql://me@127.0.0.1/db?sslmode=full")
    with pytest.raises(StoreRefused, match=r"^sslmode in store\.listen_url is none of"):
        Connector(direct, direct=True)
    pooled = direct.model_copy(update={"url": direct.listen_url, "listen_url": ""})
    for wanted in (False, True):
        with pytest.raises(StoreRefused, match=r"^sslmode in store\.url is none of"):
            Connector(pooled, direct=wanted)
