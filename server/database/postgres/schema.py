"""The schema `watchword` in PostgreSQL: whether it is ours, and what it needs."""

from __future__ import annotations

from typing import Any, TypeAlias

import asyncpg

from server.core.errors import StoreRefused
from server.database.live_nodes import GONE_MS, LiveNode
from server.database.migration_files import Migration, migrations
from server.database.pending_migrations import Applied, pending

PLACE = "the PostgreSQL database"
SCHEMA = "watchword"
# The first key of all our advisory locks ("WWrd"), so that they do not meet those of other programs.
LOCK_SPACE = 0x57577264

# A connection of a pool has the same methods. It is a string, since asyncpg has these generics only in its stubs.
Connection: TypeAlias = "asyncpg.Connection[Any] | asyncpg.pool.PoolConnectionProxy[Any]"


async def lock(connection: Connection, name: str, seconds: float | None = None) -> None:
    """Take an advisory lock, which excludes all other nodes, until the transaction ends."""
    sql = "SELECT pg_advisory_xact_lock($1::int, hashtext($2))"
    await connection.fetch(sql, LOCK_SPACE, name, timeout=seconds)


async def pending_migrations(connection: Connection) -> list[Migration]:
    """The migrations that the database needs, in order. Changes nothing. Raises StoreRefused."""
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
    # A store may be older than the column `needs`.
    rows = await connection.fetch(
        "SELECT version, name, sha256, COALESCE((to_jsonb(applied) ->> 'needs')::bigint, 0) AS needs "
        f"FROM {SCHEMA}.schema_migrations AS applied ORDER BY version"
    )
    return pending(known, [Applied(*row) for row in rows], PLACE)


async def live_nodes(connection: Connection) -> list[LiveNode]:
    """The servers that use the database now, by hostname. Those of the first version do not tell of themselves."""
    if not await connection.fetch("SELECT 1 WHERE to_regclass($1) IS NOT NULL", f"{SCHEMA}.nodes"):
        return []
    rows = await connection.fetch(
        f"SELECT hostname, pid, version, latest_migration FROM {SCHEMA}.nodes "
        f"WHERE seen_at >= extract(epoch FROM clock_timestamp()) * 1000 - {GONE_MS} ORDER BY hostname, pid"
    )
    return [LiveNode(*row) for row in rows]
