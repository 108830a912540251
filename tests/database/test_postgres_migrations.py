"""How PostgreSQL is migrated while servers use it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from server.core.errors import StoreRefused, StoreUnavailable
from server.database.live_nodes import GONE_MS
from server.database.migration_files import Migration, migrations
from server.database.open import apply_migrations, pending_migrations
from server.database.postgres import lock_waits, migrate, schema
from server.database.postgres.connect import Connector
from server.repositories import open_repositories
from server.settings.tree import StoreSettings
from tests.locks import POSTGRES_WAITS
from tests.stores import pending_names

LATEST = migrations("postgres")[-1].version
BOUND_SECONDS = 30
INDEX = "-- outside a transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS later ON users (created_at);"

Knows = Callable[..., Sequence[Migration]]


@pytest.fixture
def knows(monkeypatch: pytest.MonkeyPatch) -> Knows:
    """Gives this program further migrations."""

    def give(*added: str) -> Sequence[Migration]:
        later = [Migration(number, f"{number:04}_later", sql) for number, sql in enumerate(added, LATEST + 1)]
        monkeypatch.setattr(schema, "migrations", lambda dialect: [*migrations(dialect), *later])
        return later

    return give


@asynccontextmanager
async def holding(url: str, lock: str, name: str = "a dump") -> AsyncIterator[asyncpg.Connection[Any]]:
    """Another session that holds a lock on a table in a transaction."""
    connection = await asyncpg.connect(url, server_settings={"application_name": name})
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE watchword.{lock}")
            yield connection
    finally:
        await connection.close()


async def until_one_waits(connection: asyncpg.Connection[Any]) -> None:
    async with asyncio.timeout(BOUND_SECONDS):
        while not await connection.fetchval(POSTGRES_WAITS):  # noqa: ASYNC110 - PostgreSQL tells nobody of it
            await asyncio.sleep(0.01)


async def fetch(url: str, sql: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_a_migration_waits_in_short_pieces_and_says_for_whom(
    migrated_postgres_url: str, knows: Knows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes after it would have to wait as long as it does."""
    knows("ALTER TABLE users ADD COLUMN phone TEXT;")
    monkeypatch.setattr(migrate, "LONGEST_PAUSE_SECONDS", 0.1)
    with capture_logs() as logs:
        async with holding(migrated_postgres_url, "users IN ACCESS SHARE MODE") as holder:
            migrating = asyncio.create_task(apply_migrations(migrated_postgres_url))
            for _ in range(2):
                await until_one_waits(holder)
                # This waits behind the migration.
                await fetch(migrated_postgres_url, "SELECT 1 FROM watchword.users LIMIT 1")
            assert not migrating.done()
        assert await migrating == [f"{LATEST + 1:04}_later"]
    (line,) = (line for line in logs if line["event"] == "a migration waits for a lock")
    assert line["migration"] == f"{LATEST + 1:04}_later"
    assert line["held_by"].startswith("users: pid ")
    assert "(a dump, role postgres, idle in transaction, " in line["held_by"]


async def test_a_migration_that_gets_no_lock_ends_with_the_name_of_the_holder(
    migrated_postgres_url: str, knows: Knows, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows("CREATE TABLE first (id INT);", "ALTER TABLE users ADD COLUMN phone TEXT;")
    monkeypatch.setattr(migrate, "PATIENCE_SECONDS", 0.5)
    async with holding(migrated_postgres_url, "users IN ROW EXCLUSIVE MODE", name="a\nlong one"):
        with pytest.raises(StoreUnavailable) as failed:
            await apply_migrations(migrated_postgres_url)
    detail = str(failed.value.detail)
    assert "another session has locked what it changes (users: pid " in detail
    assert "\n" not in detail
    # What was done before it is done.
    assert await pending_names(migrated_postgres_url) == [f"{LATEST + 2:04}_later"]


async def test_a_node_that_waits_for_another_one_says_so(migrated_postgres_url: str, knows: Knows) -> None:
    knows("ALTER TABLE users ADD COLUMN phone TEXT;")
    other = await Connector(StoreSettings(url=migrated_postgres_url))()
    with capture_logs() as logs:
        async with other.transaction():
            await schema.lock(other, "migrations")
            waiting = [asyncio.create_task(apply_migrations(migrated_postgres_url)) for _ in range(2)]
            async with asyncio.timeout(BOUND_SECONDS):
                while len(logs) < 2:  # noqa: ASYNC110 - there is no event for it
                    await asyncio.sleep(0.01)
        assert sorted(await asyncio.gather(*waiting)) == [[], [f"{LATEST + 1:04}_later"]]
    await other.close()
    for line in logs:
        assert line["held_by"].startswith("another node migrates: pid ")
        assert "(watchword, role postgres, idle in transaction, " in line["held_by"]


async def test_who_may_not_look_at_others_still_migrates(
    migrated_postgres_url: str, knows: Knows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where there is no connection left for looking."""
    knows("ALTER TABLE users ADD COLUMN phone TEXT;")
    monkeypatch.setattr(migrate, "PATIENCE_SECONDS", 0.5)

    async def none_left() -> Any:
        raise asyncpg.TooManyConnectionsError

    connection = await Connector(StoreSettings(url=migrated_postgres_url))()
    async with holding(migrated_postgres_url, "users IN ROW EXCLUSIVE MODE"):
        with pytest.raises(StoreUnavailable) as failed:
            await migrate.apply_migrations(connection, none_left)
    assert "which one is unknown" in str(failed.value.detail)
    assert await migrate.apply_migrations(connection, none_left) == [f"{LATEST + 1:04}_later"]
    await connection.close()


async def test_a_migration_can_be_cancelled_while_it_waits(migrated_postgres_url: str, knows: Knows) -> None:
    knows("ALTER TABLE users ADD COLUMN phone TEXT;")
    async with holding(migrated_postgres_url, "users IN ROW EXCLUSIVE MODE") as holder:
        migrating = asyncio.create_task(apply_migrations(migrated_postgres_url))
        await until_one_waits(holder)
        migrating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await migrating
    assert await pending_names(migrated_postgres_url) == [f"{LATEST + 1:04}_later"]


async def test_an_index_is_made_beside_transactions_that_are_open(migrated_postgres_url: str, knows: Knows) -> None:
    """By several nodes at once. A transaction that has written holds it up, and nobody who comes after it."""
    knows(INDEX)
    async with holding(migrated_postgres_url, "users IN ROW EXCLUSIVE MODE") as holder:
        migrating = [asyncio.create_task(apply_migrations(migrated_postgres_url)) for _ in range(3)]
        await until_one_waits(holder)
        await fetch(migrated_postgres_url, "UPDATE watchword.users SET name = name")
    async with asyncio.timeout(BOUND_SECONDS):
        assert sorted(await asyncio.gather(*migrating)) == [[], [], [f"{LATEST + 1:04}_later"]]
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'watchword.later'::regclass"
    assert await fetch(migrated_postgres_url, valid) is True


async def test_an_index_that_was_left_half_made_is_made_anew(migrated_postgres_url: str, knows: Knows) -> None:
    knows(INDEX)
    async with holding(migrated_postgres_url, "users IN ROW EXCLUSIVE MODE") as holder:
        migrating = asyncio.create_task(apply_migrations(migrated_postgres_url))
        await until_one_waits(holder)
        killed = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%CREATE INDEX CONC%later%'"
        await holder.fetch(killed + " AND pid <> pg_backend_pid()")
        with pytest.raises(StoreUnavailable):
            await migrating
    half = "SELECT NOT indisvalid FROM pg_index WHERE indexrelid = 'watchword.later'::regclass"
    assert await fetch(migrated_postgres_url, half) is True
    assert await apply_migrations(migrated_postgres_url) == [f"{LATEST + 1:04}_later"]
    assert await fetch(migrated_postgres_url, half) is False


async def test_an_empty_database_gets_all_in_one_transaction(postgres_url: str, knows: Knows) -> None:
    knows(INDEX)
    connection = await Connector(StoreSettings(url=postgres_url))()
    transaction = connection.transaction()
    await transaction.start()
    await migrate.run_in_transaction(connection, await pending_migrations(postgres_url))
    await transaction.rollback()
    assert len(await pending_names(postgres_url)) == LATEST + 1
    async with connection.transaction():
        await migrate.run_in_transaction(connection, await pending_migrations(postgres_url))
    await connection.close()
    assert await pending_names(postgres_url) == []


async def test_a_contract_waits_until_no_older_server_runs(migrated_postgres_url: str, knows: Knows) -> None:
    knows(
        "ALTER TABLE users ADD COLUMN phone TEXT;", f"-- contract: needs migration {LATEST + 1}\nDROP TABLE readiness;"
    )
    row = "'{id}', 'web-1', 17, '0.0.9', {latest}, '{{}}', 0, 0, extract(epoch FROM now()) * 1000 - {ago}"
    for node in (
        row.format(id="a", latest=LATEST, ago=0),
        row.format(id="gone", latest=1, ago=GONE_MS + 1000),
        row.format(id="new", latest=LATEST + 1, ago=0),
    ):
        await fetch(migrated_postgres_url, f"INSERT INTO watchword.nodes VALUES ({node})")  # noqa: S608 - as above
    with pytest.raises(StoreRefused) as refused:
        await apply_migrations(migrated_postgres_url)
    assert (
        f"{LATEST + 2:04}_later waits until all servers know migration {LATEST + 1}; still running: web-1 (pid 17, "
        in str(refused.value)
    )
    added = [f"{LATEST + 1:04}_later", f"{LATEST + 2:04}_later"]
    assert await pending_names(migrated_postgres_url) == added, "nothing was changed"
    await fetch(migrated_postgres_url, "DELETE FROM watchword.nodes WHERE id = 'a'")
    assert await apply_migrations(migrated_postgres_url) == added
    # And from now on a program that does not know the first of them is refused, one that knows it is not.
    knows("ALTER TABLE users ADD COLUMN phone TEXT;")
    assert await pending_names(migrated_postgres_url) == []
    knows()
    with pytest.raises(StoreRefused, match="newer than this program"):
        await open_repositories(migrated_postgres_url, serving=True)


async def test_a_role_that_may_not_migrate_says_who_may(migrated_postgres_url: str, knows: Knows) -> None:
    """A server may have a role that only uses the tables."""
    await fetch(migrated_postgres_url, "CREATE ROLE serving LOGIN")
    try:
        for rights in ("SCHEMA watchword", "ALL TABLES IN SCHEMA watchword"):
            kind = "USAGE" if rights.startswith("SCHEMA") else "SELECT, INSERT, UPDATE, DELETE"
            await fetch(migrated_postgres_url, f"GRANT {kind} ON {rights} TO serving")
        url = migrated_postgres_url.replace("postgres@", "serving@").replace("//postgres:@", "//serving@")
        assert "serving" in url
        await (await open_repositories(url, serving=True)).close()
        for sql in ("ALTER TABLE users ADD COLUMN phone TEXT;", "CREATE TABLE later (id INT);"):
            knows(sql)
            with pytest.raises(StoreRefused, match=r"this role may not run migration .*run: python -m server migrate"):
                await open_repositories(url, serving=True)
    finally:
        await fetch(migrated_postgres_url, "DROP OWNED BY serving")
        await fetch(migrated_postgres_url, "DROP ROLE serving")


async def test_an_older_program_starts_on_a_store_to_which_a_newer_one_has_added(
    migrated_postgres_url: str, knows: Knows
) -> None:
    knows("ALTER TABLE users ADD COLUMN phone TEXT;", INDEX)
    await apply_migrations(migrated_postgres_url)
    knows()
    assert await pending_names(migrated_postgres_url) == []
    for migrating in (True, False):
        store = await open_repositories(migrated_postgres_url, serving=True, migrating=migrating)
        await store.readiness.ping()
        await store.close()


async def test_a_program_that_may_not_migrate_names_what_is_needed(postgres_url: str, knows: Knows) -> None:
    with pytest.raises(StoreRefused, match="there is no store in the PostgreSQL database, in its schema watchword; "):
        await open_repositories(postgres_url, serving=True, migrating=False)
    assert await fetch(postgres_url, "SELECT to_regnamespace('watchword')") is None
    await apply_migrations(postgres_url)
    knows("ALTER TABLE users ADD COLUMN phone TEXT;", INDEX)
    names = f"{LATEST + 1:04}_later, {LATEST + 2:04}_later"
    with pytest.raises(StoreRefused, match=rf"needs migrations first \({names}\); run: python -m server migrate"):
        await open_repositories(postgres_url, serving=True, migrating=False)


def test_lines_about_a_wait_are_few() -> None:
    assert lock_waits.LOOK_SECONDS * 1000 * 2 <= migrate.TABLE_LOCK_MS
    assert migrate.TABLE_LOCK_MS / 1000 / migrate.LONGEST_PAUSE_SECONDS <= 1 / 20
