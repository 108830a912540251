"""What is special about PostgreSQL: several nodes, and a server that may be away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from server.core.errors import StoreRefused, StoreUnavailable
from server.database.driver import Transaction
from server.database.migration_files import migrations
from server.database.open import apply_migrations, pending_migrations
from server.database.postgres.connect import Connector
from server.database.postgres.driver import ATTEMPTS, PostgresDriver
from server.database.postgres.watch import OPENING_SECONDS, Watch
from server.repositories import Repositories, open_repositories
from server.settings.tree import StoreSettings
from tests.records import (
    NOW,
    add_user,
    all_revocations,
    end_session,
    id_of,
    new_user,
    open_session,
    rename,
    session,
    usernames,
)
from tests.stores import pending_names

# Where something else would wait for ever. Far above what any of it takes.
BOUND_SECONDS = 30
ALL = [migration.name for migration in migrations("postgres")]


async def _run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


@pytest.fixture
async def driver(postgres_url: str) -> AsyncIterator[PostgresDriver]:
    opened = await PostgresDriver.open(StoreSettings(url=postgres_url), serving=True)
    yield opened
    await opened.close()


async def test_migrations_are_applied_once(postgres_url: str) -> None:
    assert await pending_names(postgres_url) == ALL
    assert await pending_names(postgres_url) == ALL
    assert await apply_migrations(postgres_url) == ALL
    assert await pending_names(postgres_url) == []
    assert await apply_migrations(postgres_url) == []


async def test_nodes_may_start_at_once(postgres_url: str) -> None:
    applied = await asyncio.gather(*(apply_migrations(postgres_url) for _ in range(6)))
    # A node may find another at work between two migrations; each is applied once.
    assert sorted(name for names in applied for name in names) == ALL


async def test_an_empty_schema_may_be_there(postgres_url: str) -> None:
    await _run(postgres_url, "CREATE SCHEMA watchword")
    assert await apply_migrations(postgres_url) == ALL


async def test_a_newer_store_is_refused(postgres_url: str) -> None:
    await apply_migrations(postgres_url)
    await _run(postgres_url, "INSERT INTO watchword.schema_migrations VALUES (9999, '9999_later', 'x', 0, 9999)")
    for refused in (open_repositories(postgres_url, serving=True), pending_migrations(postgres_url)):
        with pytest.raises(StoreRefused, match="newer than this program"):
            await refused


async def test_a_changed_migration_is_refused(postgres_url: str) -> None:
    await apply_migrations(postgres_url)
    await _run(postgres_url, "UPDATE watchword.schema_migrations SET sha256 = 'x' WHERE version = 1")
    with pytest.raises(StoreRefused, match="another edition of migration 0001_first"):
        await open_repositories(postgres_url, serving=True)


async def test_a_foreign_schema_is_refused_and_left_alone(postgres_url: str) -> None:
    await _run(postgres_url, "CREATE SCHEMA watchword", "CREATE TABLE watchword.users (id INT)")
    for refused in (open_repositories(postgres_url, serving=True), pending_migrations(postgres_url)):
        with pytest.raises(StoreRefused, match="another program"):
            await refused
    await _run(postgres_url, "DROP TABLE watchword.users", "DROP SCHEMA watchword RESTRICT")


async def test_other_tables_of_the_database_do_not_matter(postgres_url: str) -> None:
    await _run(postgres_url, "CREATE TABLE users (id INT)", "CREATE TABLE schema_migrations (id INT)")
    store = await open_repositories(postgres_url, serving=True)
    await add_user(store, new_user(1))
    await store.close()
    await _run(postgres_url, "DROP TABLE users", "DROP TABLE schema_migrations")


async def test_a_deadlock_is_tried_again(driver: PostgresDriver) -> None:
    store = Repositories(driver)
    for number in (1, 2):
        await add_user(store, new_user(number))
    barrier = asyncio.Barrier(2)
    met = {1: False, 2: False}

    async def cross(first: int, second: int) -> None:
        async def unit(transaction: Transaction) -> None:
            # A second as a rule, which on a busy machine comes near to what a statement may take.
            await transaction.run("SET LOCAL deadlock_timeout = '50ms'")
            await transaction.run("UPDATE users SET updated_at = updated_at + 1 WHERE id = $1", id_of(first))
            if not met[first]:
                met[first] = True
                await barrier.wait()
            await transaction.run("UPDATE users SET updated_at = updated_at + 1 WHERE id = $1", id_of(second))

        await driver.write(unit)

    before = await store.users.get_user(id_of(1))
    await asyncio.gather(cross(1, 2), cross(2, 1))
    after = await store.users.get_user(id_of(1))
    assert before is not None
    assert after is not None
    assert after.updated_at == before.updated_at + 2


async def test_trying_again_ends(driver: PostgresDriver) -> None:
    attempts = 0

    async def unit(_: Transaction) -> None:
        nonlocal attempts
        attempts += 1
        raise asyncpg.SerializationError

    with pytest.raises(StoreUnavailable):
        await driver.write(unit)
    assert attempts == ATTEMPTS


async def test_a_defect_is_no_outage(driver: PostgresDriver) -> None:
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await driver.read("SELEC 1")


async def test_lost_connections_are_replaced(postgres_url: str, driver: PostgresDriver) -> None:
    store = Repositories(driver)
    begun = asyncio.Event()

    async def endless(transaction: Transaction) -> None:
        begun.set()
        await transaction.run("SELECT pg_sleep(60)")

    write = asyncio.create_task(driver.write(endless))
    await begun.wait()
    await _run(
        postgres_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    with pytest.raises(StoreUnavailable):
        await write
    await add_user(store, new_user(1))
    assert await usernames(store) == {"user1"}


async def test_revocations_are_read_though_the_pool_is_busy(driver: PostgresDriver) -> None:
    store = Repositories(driver)
    await add_user(store, new_user(1))
    await open_session(store, session(10, 1), NOW)
    # Ends when the connection listens.
    await driver.wait_for_change(OPENING_SECONDS)
    begun = asyncio.Semaphore(0)
    free = asyncio.Event()

    async def wait(_: Transaction) -> None:
        begun.release()
        await free.wait()

    async def occupy(connections: int) -> list[asyncio.Task[None]]:
        busy = [asyncio.create_task(driver.write(wait)) for _ in range(connections)]
        for _ in busy:
            await begun.acquire()
        return busy

    busy = await occupy(StoreSettings().pool_size - 1)
    await end_session(store, id_of(10), None, NOW)
    busy += await occupy(1)
    # Told of the change, long before this wait is over; and not from the pool, which would be unavailable.
    async with asyncio.timeout(BOUND_SECONDS):
        await driver.wait_for_change(2 * BOUND_SECONDS)
        revoked = await all_revocations(store)
    assert [found.session_id for found in revoked] == [id_of(10)]
    free.set()
    await asyncio.gather(*busy)


async def test_the_wait_is_taken_up_again_when_its_connection_is_lost(
    postgres_url: str, driver: PostgresDriver
) -> None:
    store = Repositories(driver)
    await add_user(store, new_user(1))
    await open_session(store, session(10, 1), NOW)
    for _ in range(2):
        await driver.wait_for_change(OPENING_SECONDS)
        await _run(
            postgres_url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        # Until the connection has noticed, and from the pool as long as there is no other.
        assert await all_revocations(store) == []
    # Ends when it listens again.
    await driver.wait_for_change(OPENING_SECONDS)
    waiting = asyncio.create_task(driver.wait_for_change(2 * BOUND_SECONDS))
    await asyncio.sleep(0)
    await end_session(store, id_of(10), None, NOW)
    async with asyncio.timeout(BOUND_SECONDS):
        await waiting


async def test_a_wait_can_be_cancelled_at_the_moment_of_a_change(postgres_url: str) -> None:
    """asyncio.wait_for of Python 3.11 loses such a cancellation, and the server would not stop."""
    watch = Watch(Connector(StoreSettings(url=postgres_url)))
    await watch.wait(OPENING_SECONDS)
    waiting = asyncio.create_task(watch.wait(60))
    await asyncio.sleep(0)
    watch.told()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await watch.close()


async def test_a_commit_waits_for_the_disk_whatever_the_database_has_it(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    name = await connection.fetchval("SELECT current_database()")
    await connection.close()
    for value, expected in (("off", "on"), ("remote_apply", "remote_apply")):
        await _run(postgres_url, f"ALTER DATABASE {name} SET synchronous_commit = {value}")
        opened = await PostgresDriver.open(StoreSettings(url=postgres_url), serving=True)
        assert (await opened.read("SHOW synchronous_commit"))[0][0] == expected
        await opened.close()


async def test_a_cancelled_unit_changes_nothing_and_gives_its_connection_back(driver: PostgresDriver) -> None:
    store = Repositories(driver)
    await add_user(store, new_user(1))
    begun = asyncio.Event()

    async def endless(transaction: Transaction) -> None:
        await transaction.run("UPDATE users SET name = 'spoilt'")
        begun.set()
        await transaction.run("SELECT pg_sleep(60)")

    for _ in range(3):
        begun.clear()
        write = asyncio.create_task(driver.write(endless))
        await begun.wait()
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            await write
    user = await store.users.get_user(id_of(1))
    assert user is not None
    assert user.name == "Name 1"
    assert await rename(store, 1, "free", 1) is not None


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hush@127.0.0.1:1/db",
        "postgres://user:hush@/db?host=/nowhere",
        "postgresql://user:hush@h:port/db",
        "postgresql://user:hush@h:99999/db",
        "postgresql://user:hush/er@h/db",
        "postgresql://user:hush@127.0.0.1:1/db?sslmode=hush",
    ],
)
async def test_a_failure_at_the_start_tells_no_password(url: str) -> None:
    with pytest.raises((StoreRefused, StoreUnavailable)) as caught:
        await open_repositories(url, serving=True)
    text = str(getattr(caught.value, "detail", caught.value))
    assert "store.url" in text
    assert "hush" not in text
    assert "\n" not in text


async def test_a_missing_database_is_refused(postgres_url: str) -> None:
    url = postgres_url.replace("/test_", "/absent_")
    assert url != postgres_url
    with pytest.raises(StoreRefused, match=r'database "absent_.*does not exist'):
        await open_repositories(url, serving=True)
