"""The schema `watchword` in PostgreSQL: whose it is, and whether it is up to date."""

from __future__ import annotations

from typing import Any, TypeAlias

import asyncpg

from server.clock import SystemClock
from server.errors import StoreRefused
from server.store.migrate import Applied, pending
from server.store.migrations import Migration, migrations

PLACE = "the PostgreSQL database"
SCHEMA = "watchword"
# The first half of all our advisory locks ("WWrd"), which other programs on the same database won't use by chance.
LOCK_SPACE = 0x57577264

# What a pool hands out has the same methods. A string, since asyncpg knows these generics only in its stubs.
Connection: TypeAlias = "asyncpg.Connection[Any] | asyncpg.pool.PoolConnectionProxy[Any]"


async def pending_names(connection: Connection) -> list[str]:
    """The names of the migrations that the database needs. Changes nothing. Raises StoreRefused."""
    return [migration.name for migration in await _pending(connection)]


async def apply_migrations(connection: Connection) -> list[str]:
    """Bring the database up to date, each migration in a transaction; the names of what was applied.

    Several nodes may do so at once: each step is under an advisory lock and looks again. Raises StoreRefused.
    """
    applied: list[str] = []
    while await _pending(connection):
        async with connection.transaction(isolation="read_committed"):
            await lock(connection, "migrations")
            wanted = await _pending(connection)
            if wanted:
                await _run(connection, wanted[0])
                applied.append(wanted[0].name)
    return applied


async def lock(connection: Connection, name: str) -> None:
    """Until the transaction ends, on all nodes."""
    await connection.fetch("SELECT pg_advisory_xact_lock($1::int, hashtext($2))", LOCK_SPACE, name)


async def _pending(connection: Connection) -> list[Migration]:
    known = migrations("postgres")
    tables = {
        row[0]
        for row in await connection.fetch(
            "SELECT relname::text FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON relnamespace = "
            "pg_namespace.oid WHERE nspname = $1",
            SCHEMA,
        )
    }
    # An empty schema may have been made by an administrator, for a role that may not make one.
    if not tables:
        return known
    if "schema_migrations" not in tables:
        raise StoreRefused(
            f"the schema {SCHEMA} in {PLACE} belongs to another program; choose another database in store.url"
        )
    rows = await connection.fetch(f"SELECT version, name, sha256 FROM {SCHEMA}.schema_migrations ORDER BY version")
    return pending(known, [Applied(*row) for row in rows], PLACE)


async def _run(connection: Connection, migration: Migration) -> None:
    if not await connection.fetch("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", SCHEMA):
        await connection.execute(f"CREATE SCHEMA {SCHEMA}")
    await connection.execute(migration.sql)
    await connection.execute(
        f"INSERT INTO {SCHEMA}.schema_migrations (version, name, sha256, applied_at) VALUES ($1, $2, $3, $4)",
        migration.version,
        migration.name,
        migration.sha256,
        SystemClock().now_ms(),
    )
