"""A PostgreSQL that is well, and those that are not; and clocks that are wrong."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from server.app import open_services
from server.core.ids import Ids, SystemRandomness
from server.doctor.examination import examine
from server.settings import LoadedSettings
from server.settings.tree import TokenSettings
from tests.clock import FakeClock
from tests.database.test_postgres_failures import run as run_sql
from tests.doctor.examined import Examined, examined
from tests.pgbouncer import pgbouncer
from tests.postgres import PostgresServer
from tests.postgres_standby import Standby
from tests.running import MASTER_KEY, StartApi, settings_with

KEY = {"WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY}


def look(folder: Path, url: str, **changes: str) -> Examined:
    return examined(folder, **KEY, WATCHWORD__STORE__URL=url, **changes)


async def look_with(clock: FakeClock, store_url: str, **changes: Any) -> Examined:
    loaded = LoadedSettings(settings_with(store_url, **changes), None, ())
    ids = Ids(clock, SystemRandomness())
    found = [
        {"topic": one.topic, "level": one.level.value, "text": one.text, "remedy": one.remedy or ""}
        async for one in examine(lambda: loaded, clock, ids)
    ]
    return Examined(any(one["level"] == "wrong" for one in found), found)


def levels(found: Examined) -> set[str]:
    """Of the store, without what is told of the PostgreSQL of all tests, which is not made for power failures."""
    return {
        one["level"] for one in found.findings if one["topic"] == "store" and not one["text"].startswith("off: fsync")
    }


def database_of(url: str) -> str:
    return urlsplit(url).path[1:]


async def dump(url: str) -> list[list[Any]]:
    connection = await asyncpg.connect(url)
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'watchword' ORDER BY 1")
    rows = [await connection.fetch(f'SELECT * FROM watchword."{table[0]}"') for table in tables]  # noqa: S608
    await connection.close()
    return [sorted(map(str, one)) for one in rows]


async def test_one_that_is_well_is_told_with_its_version_and_stays_as_it_is(
    migrated_postgres_url: str, tmp_path: Path
) -> None:
    async with open_services(settings_with(migrated_postgres_url), serving=True) as services:
        await services.users.create("lak", "Lak", "admin", None)
    before = await dump(migrated_postgres_url)
    found = look(tmp_path, migrated_postgres_url)
    assert await dump(migrated_postgres_url) == before
    # Another test may have a standby of the same server, which is a note.
    assert (found.code, levels(found) - {"note"}, found.levels("keys")) == (0, {"ok"}, {"ok"})
    assert found.told("ok", "nodes") == ["servers on this database: none"]
    (power,) = found.told("warning", "store")
    assert power.startswith("off: fsync, full_page_writes, so a power failure may lose")
    told = "\n".join(found.told("ok", "store"))
    for part in ("its tables are up to date", "role postgres", "connections are in use", "stays on this machine",
                 "it takes the writes of a login"):  # fmt: skip
        assert part in told
    assert "from the clock of the database" in "\n".join(found.told("ok", "clock"))


async def test_an_empty_one_stays_empty(postgres_url: str, tmp_path: Path) -> None:
    found = look(tmp_path, postgres_url)
    assert (found.code, await dump(postgres_url)) == (0, [])
    (told,) = found.told("warning", "store")
    assert "there is no store yet" in told


async def test_one_that_needs_a_migration_or_is_newer(migrated_postgres_url: str, tmp_path: Path) -> None:
    forget = "DELETE FROM watchword.schema_migrations WHERE version = (SELECT max(version) FROM %s)"
    await run_sql(migrated_postgres_url, forget % "watchword.schema_migrations")
    (told,) = look(tmp_path, migrated_postgres_url).told("warning", "store")
    assert "it needs 00" in told
    columns, values = "version, name, sha256, applied_at, needs", "9999, 'later', 'x', 0, 9999"
    later = f"INSERT INTO watchword.schema_migrations ({columns}) VALUES ({values})"  # noqa: S608 - ours
    await run_sql(migrated_postgres_url, later)
    assert look(tmp_path, migrated_postgres_url).names("store", "newer than this program")


def test_one_that_is_down(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    found = look(tmp_path, f"postgresql://u:hush@127.0.0.1:{port}/d")
    assert found.names("store", "PostgreSQL can't be reached")
    assert "hush" not in str(found.findings)


async def test_a_role_with_a_wrong_password_without_rights_or_with_some(
    migrated_postgres_url: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    url, role = migrated_postgres_url, f"r_{database_of(migrated_postgres_url)}"
    as_role = url.replace("postgres:@", f"{role}@").replace("postgres@", f"{role}@")
    assert role in as_role
    await run_sql(url, f"CREATE ROLE {role} LOGIN")
    try:
        assert look(tmp_path, as_role).names("store", "permission denied for")
        await run_sql(url, f"GRANT USAGE ON SCHEMA watchword TO {role}",
                      f"GRANT SELECT ON ALL TABLES IN SCHEMA watchword TO {role}")  # fmt: skip
        found = look(tmp_path, as_role)
        assert found.names("store", "may not read and write all tables: audit_events")
        assert found.names("store", "permission denied for table")
        await run_sql(url, f"GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA watchword TO {role}",
                      f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA watchword TO {role}")  # fmt: skip
        found = look(tmp_path, as_role)
        assert (found.code, levels(found)) == (0, {"ok", "note"})
        assert any("may not change tables: `migrate` has to be run" in text for text in found.told("note", "store"))
        await run_sql(url, f"ALTER ROLE {role} CONNECTION LIMIT 5")
        assert any("of 5 connections are in use" in text for text in look(tmp_path, as_role).told("warning", "store"))
    finally:
        await run_sql(url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")
    found = look(tmp_path, as_role)
    assert found.names("store", f'role "{role}" does not exist')


async def test_one_that_only_reads(migrated_postgres_url: str, tmp_path: Path) -> None:
    name = database_of(migrated_postgres_url)
    await run_sql(migrated_postgres_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    found = look(tmp_path, migrated_postgres_url)
    assert found.names("store", "it takes no writes: default_transaction_read_only is on")


def test_a_standby(standby: Standby, tmp_path: Path) -> None:
    assert look(tmp_path, standby.url("postgres")).names("store", "it is a standby")


async def test_nodes_whose_settings_or_clocks_differ(migrated_postgres_url: str) -> None:
    clock = FakeClock(round(time.time() * 1000))
    # Without an application nothing goes on in the background.
    async with open_services(settings_with(migrated_postgres_url), serving=True, clock=clock) as services:
        await services.nodes.beat()
        found = await look_with(clock, migrated_postgres_url, tokens=TokenSettings(issuer="elsewhere"))
        assert found.names("nodes", 'tokens.issuer is "elsewhere" here, "my-api" on ')
        clock.set_wall(-30)
        found = await look_with(clock, migrated_postgres_url)
        assert found.names("clock", "behind the database's")


async def test_a_clock_that_is_before_this_program_or_behind_the_log(start_api: StartApi, store_url: str) -> None:
    api = await start_api()
    if store_url.startswith("sqlite"):
        found = await look_with(FakeClock(1_000_000_000_000), store_url)
        assert found.names("clock", "which is before this program was made")
        found = await look_with(FakeClock(api.clock.now_ms() - 3_600_000), store_url)
        assert found.names("clock", "and the last record of the audit log is of")
        assert (await look_with(api.clock, store_url)).levels("clock") == {"ok"}
    else:
        found = await look_with(FakeClock(1_000_000_000_000), store_url)
        assert found.levels("clock") == {"wrong"}
        assert len(found.told("wrong", "clock")) == 2


async def test_one_behind_a_pooler_that_tells_no_server_of_changes(
    migrated_postgres_url: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    with pgbouncer(postgres_server, migrated_postgres_url, "transaction") as pooled:
        assert look(tmp_path, pooled).names("store", "set store.listen_url to the URL of PostgreSQL itself")
        found = look(tmp_path, pooled, WATCHWORD__STORE__LISTEN_URL=migrated_postgres_url)
        assert (found.code, levels(found) - {"note"}) == (0, {"ok"})
        told = "\n".join(found.told("ok", "store"))
        assert "a server is told of what other nodes change, over store.listen_url, postgresql://" in told
