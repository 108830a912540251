"""The schema `watchword` in PostgreSQL: checks whether it is ours, and migrates it."""

from __future__ import annotations

from typing import Any, TypeAlias

import asyncpg

from server.core.clock import SystemClock
from server.core.errors import StoreRefused
from server.database.migration_files import Migration, migrations
from server.database.pending_migrations import Applied, pending

PLACE = "the PostgreSQL database"
SCHEMA = "watchword"
# The first key of all our advisory locks ("WWrd"), so that they do not meet those of other programs.
LOCK_SPACE = 0x57577264

# A migration may run as long as it needs. But it waits only this long for a lock on a table, since other statements on
# this table would have to wait behind it.
TABLE_LOCK_MS = 3000
NODE_MS = 60_000
_LONGEST_SECONDS = 86_400

# A connection of a pool has the same methods. It is a string, since asyncpg has these generics only in its stubs.
Connection: TypeAlias = "asyncpg.Connection[Any] | asyncpg.pool.PoolConnectionProxy[Any]"


async def pending_names(connection: Connection) -> list[str]:
    """The names of the migrations that the database needs. Changes nothing. Raises StoreRefused."""
    return [migration.name for migration in await _pending(connection)]


async def apply_migrations(connection: Connection) -> list[str]:
    """Run the pending migrations, each in a transaction, and return their names. Raises StoreRefused.

    Several nodes may call it at the same moment: each step takes an advisory lock and reads the pending ones again.
    """
    applied: list[str] = []
    while await _pending(connection):
        async with connection.transaction(isolation="read_committed"):
            # Another node may be migrating a large table.
            await connection.execute(f"SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = {NODE_MS}")
            await lock(connection, "migrations", seconds=NODE_MS / 1000 + 1)
            await connection.execute(f"SET LOCAL lock_timeout = {TABLE_LOCK_MS}")
            wanted = await _pending(connection)
            if wanted:
                await _run(connection, wanted[0])
                applied.append(wanted[0].name)
    return applied


async def lock(connection: Connection, name: str, seconds: float | None = None) -> None:
    """Take an advisory lock, which excludes all other nodes, until the transaction ends."""
    sql = "SELECT pg_advisory_xact_lock($1::int, hashtext($2))"
    await connection.fetch(sql, LOCK_SPACE, name, timeout=seconds)


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
    # An administrator may have made an empty schema, for a role that may not make one.
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
    await connection.execute(migration.sql, timeout=_LONGEST_SECONDS)
    await connection.execute(
        f"INSERT INTO {SCHEMA}.schema_migrations (version, name, sha256, applied_at) VALUES ($1, $2, $3, $4)",
        migration.version,
        migration.name,
        migration.sha256,
        SystemClock().now_ms(),
    )
