"""Runs the migrations of PostgreSQL, beside nodes that serve.

A statement that changes a table waits until no transaction uses the table, and all who come meanwhile wait behind it.
So it waits for a moment only. Then it makes room, and tries again later.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg

from server.core.clock import SystemClock
from server.core.errors import StoreRefused, StoreUnavailable
from server.database.inserting import insert_into
from server.database.live_nodes import require_known
from server.database.migration_files import Migration
from server.database.postgres.connection import Connection
from server.database.postgres.lock_waits import LockWaits, looking
from server.database.postgres.schema import LOCK_SPACE, live_nodes, lock_name, pending_migrations

# How long requests may have to wait behind a migration that waits for a table.
TABLE_LOCK_MS = 200
# How long locks are waited for in all, for each migration.
PATIENCE_SECONDS = 300.0
# Pauses between tries double. At the longest, requests wait at most for a twentieth of the time.
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
# The time that a migration may take, not counting its waits for locks.
_LONGEST_SECONDS = 86_400

Connect = Callable[[], Coroutine[Any, Any, Connection]]


class _AnotherNodeMigratesError(Exception):
    """Another node has the advisory lock."""


_HELD_UP = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, _AnotherNodeMigratesError)


async def apply_migrations(connection: Connection, connect: Connect) -> list[str]:
    """Run the pending migrations, each in a transaction, and return their names.

    Several nodes may call it at the same moment: each step takes an advisory lock and reads the pending ones again.
    `connect` makes further connections. Raises StoreRefused; StoreUnavailable if locks are held for too long.
    """
    applied: list[str] = []
    while wanted := await pending_migrations(connection):
        # All of them, so that either nothing is changed or nothing is left to do.
        await _require_known(connection, wanted)
        migration = wanted[0]
        async with looking(connection, connect, migration.name) as waits:
            if await _with_patience(connection, connect, migration, waits):
                applied.append(migration.name)
    return applied


async def _with_patience(connection: Connection, connect: Connect, migration: Migration, waits: LockWaits) -> bool:
    """Try until the locks are free. Returns whether it was run here, and not by another node."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_SECONDS
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            async with _only_node(connection, connect, migration, waits) as is_wanted:
                if is_wanted:
                    # Once more, since a server may have started meanwhile.
                    await _require_known(connection, [migration])
                    await _run(connection, migration)
        except _HELD_UP as error:
            # At the first try it may not be known yet.
            if waits.held_by or pause > FIRST_PAUSE_SECONDS:
                waits.say(migration.name)
            # Nodes that were started together should not try together.
            pause_now = pause * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
            if loop.time() + pause_now > deadline:
                raise _gave_up(migration, waits) from error
        except asyncpg.InsufficientPrivilegeError as error:
            raise StoreRefused(
                f"this role may not run migration {migration.name} ({error.message}); with one that owns the schema, "
                "run: python -m server migrate"
            ) from error
        else:
            return is_wanted
        await asyncio.sleep(pause_now)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


async def _require_known(connection: Connection, wanted: Sequence[Migration]) -> None:
    """Raise StoreRefused if a server runs that can't go on beside one of the migrations."""
    if any(migration.needs for migration in wanted):
        nodes = await live_nodes(connection)
        for migration in wanted:
            require_known(migration, nodes)


def _gave_up(migration: Migration, waits: LockWaits) -> StoreUnavailable:
    failure = StoreUnavailable()
    failure.detail = (
        f"migration {migration.name} waited for {PATIENCE_SECONDS:.0f} s: another session has locked what it changes "
        f"({waits.held_by or 'which one is unknown'}); end that session, or try again when it is done"
    )
    return failure


@asynccontextmanager
async def _only_node(
    connection: Connection, connect: Connect, migration: Migration, waits: LockWaits
) -> AsyncIterator[bool]:
    """Keep other nodes from migrating. Gives whether the migration is still the next one."""
    async with AsyncExitStack() as stack:
        guard = connection
        if not migration.in_transaction:
            # The lock ends with a transaction, in which this migration can't run. So another connection holds it.
            guard = await connect()
            stack.callback(guard.terminate)
        await stack.enter_async_context(guard.transaction(isolation="read_committed"))
        # Who waits here would have a snapshot, for whose end CREATE INDEX CONCURRENTLY of the other node would wait.
        name = lock_name(guard.schema, "migrations")
        if not await guard.fetchval(f"SELECT pg_try_advisory_xact_lock({LOCK_SPACE}, hashtext($1))", name):
            await waits.note_node(connection)
            raise _AnotherNodeMigratesError
        # This is sent without parameters, and so ends the snapshot of the statement before.
        await guard.execute(
            "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; "
            f"SET LOCAL lock_timeout = {TABLE_LOCK_MS}"
        )
        yield (await pending_migrations(connection))[:1] == [migration]


async def run_in_transaction(connection: Connection, wanted: Sequence[Migration]) -> None:
    """Run migrations of an empty database in the transaction of the caller, so that all are done or none."""
    await _make_schema(connection)
    for migration in wanted:
        # CONCURRENTLY is only for tables that are in use.
        sql = re.sub(r"\bCONCURRENTLY\b", "", migration.sql)
        await connection.execute(sql, timeout=_LONGEST_SECONDS)
        await _record(connection, migration)


async def _run(connection: Connection, migration: Migration) -> None:
    if migration.in_transaction:
        await _make_schema(connection)
        await connection.execute(migration.sql, timeout=_LONGEST_SECONDS)
    else:
        await _run_outside(connection, migration)
    await _record(connection, migration)


async def _make_schema(connection: Connection) -> None:
    # Not IF NOT EXISTS, which asks for the right to make one also where it is there.
    if not await connection.fetch("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", connection.schema):
        await connection.execute(f'CREATE SCHEMA "{connection.schema}"')


async def _record(connection: Connection, migration: Migration) -> None:
    row = migration.record(SystemClock().now_ms())
    sql = insert_into(f'"{connection.schema}".schema_migrations', list(row))
    await connection.execute(sql, *row.values())


async def _run_outside(connection: Connection, migration: Migration) -> None:
    """Run the one statement. It waits for locks as long as it takes, since no request waits behind it."""
    await connection.execute("SET statement_timeout = 0")
    # What was killed half way has left an index that is not valid.
    for row in await connection.fetch(
        "SELECT pg_class.relname::text FROM pg_catalog.pg_index JOIN pg_catalog.pg_class ON oid = indexrelid "
        "JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = $1 AND NOT indisvalid",
        connection.schema,
    ):
        if row["relname"] in migration.sql:
            await connection.execute(f'DROP INDEX CONCURRENTLY "{connection.schema}"."{row["relname"]}"')
    await connection.execute(migration.sql, timeout=_LONGEST_SECONDS)
    await connection.execute("RESET statement_timeout")
