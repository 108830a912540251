"""The schema in PostgreSQL: whether it is ours, and what it needs."""

from __future__ import annotations

from server.core.errors import StoreRefused
from server.database.live_nodes import GONE_MS, LiveNode
from server.database.migration_files import Migration, migrations
from server.database.pending_migrations import Applied, not_migrated, pending
from server.database.postgres.connection import Connection

PLACE = "the PostgreSQL database"
# The first key of all our advisory locks ("WWrd"), so that they do not meet those of other programs.
LOCK_SPACE = 0x57577264
# Its locks have the names that they had before there was a setting.
DEFAULT_SCHEMA = "watchword"


async def lock(connection: Connection, name: str, seconds: float | None = None) -> None:
    """Take an advisory lock, which excludes all other nodes, until the transaction ends."""
    sql = "SELECT pg_advisory_xact_lock($1::int, hashtext($2))"
    await connection.fetch(sql, LOCK_SPACE, lock_name(connection.schema, name), timeout=seconds)


def lock_name(schema: str, name: str) -> str:
    """The name of an advisory lock, which belongs to the database: each schema has its own."""
    return name if schema == DEFAULT_SCHEMA else f"{schema}.{name}"


async def pending_migrations(connection: Connection) -> list[Migration]:
    """The migrations that the database needs, in order. Changes nothing. Raises StoreRefused."""
    known = migrations("postgres")
    tables = {
        row[0]
        for row in await connection.fetch(
            "SELECT relname::text FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON relnamespace = "
            "pg_namespace.oid WHERE nspname = $1",
            connection.schema,
        )
    }
    # An administrator may have made an empty schema, for a role that may not make one.
    if not tables:
        return known
    if "schema_migrations" not in tables:
        raise StoreRefused(
            f"the schema {connection.schema} in {PLACE} belongs to another program; choose another one in "
            "store.schema_name"
        )
    # A store may be older than the column `needs`.
    rows = await connection.fetch(
        "SELECT version, name, sha256, COALESCE((to_jsonb(applied) ->> 'needs')::bigint, 0) AS needs "
        f'FROM "{connection.schema}".schema_migrations AS applied ORDER BY version'
    )
    return pending(known, [Applied(*row) for row in rows], PLACE)


async def require_migrated(connection: Connection) -> None:
    """Raise StoreRefused if there is no store, or it needs migrations."""
    wanted = await pending_migrations(connection)
    if wanted:
        raise not_migrated(f"{PLACE}, in its schema {connection.schema}", wanted)


async def live_nodes(connection: Connection) -> list[LiveNode]:
    """The servers that use the database now, by hostname. Those of the first version do not tell of themselves."""
    nodes = f'"{connection.schema}".nodes'
    if not await connection.fetch("SELECT 1 WHERE to_regclass($1) IS NOT NULL", nodes):
        return []
    rows = await connection.fetch(
        f"SELECT hostname, pid, version, latest_migration FROM {nodes} "
        f"WHERE seen_at >= extract(epoch FROM clock_timestamp()) * 1000 - {GONE_MS} ORDER BY hostname, pid"
    )
    return [LiveNode(*row) for row in rows]
