"""Says for whom a migration waits: a second connection asks PostgreSQL who holds the lock that the first one wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import structlog

from server.core.errors import StoreRefused
from server.core.tasks import beside
from server.database.postgres.connection import Connection
from server.database.postgres.schema import LOCK_SPACE, lock_name

# Twice within the wait for a table.
LOOK_SECONDS = 0.1
# The pause between lines about the same wait.
SAY_SECONDS = 10.0
# Names of sessions come from outside, so they are cut. The column `state` is NULL for those at whom our role may not
# look. A prepared transaction belongs to no session, and its number is 0.
_HOLDERS = """
    SELECT holder, left(application_name, 60) AS program, left(usename, 60) AS role, state,
        extract(epoch FROM clock_timestamp() - xact_start)::bigint AS seconds, {wanted} AS wanted
    FROM ({pids}) AS holding (holder) LEFT JOIN pg_stat_activity ON pg_stat_activity.pid = holder LIMIT 5
"""
_OF_A_TABLE = _HOLDERS.format(
    wanted="(SELECT relname FROM pg_locks JOIN pg_class ON pg_class.oid = relation "
    "WHERE pg_locks.pid = $1 AND NOT granted LIMIT 1)",
    pids="SELECT unnest(pg_blocking_pids($1))",
)
_ANOTHER_NODE = _HOLDERS.format(
    wanted="'another node migrates'",
    pids="SELECT pg_locks.pid FROM pg_locks JOIN pg_database ON pg_database.oid = database "  # noqa: S608 - a number
    "WHERE datname = current_database() AND locktype = 'advisory' AND granted AND pg_locks.pid <> pg_backend_pid() "
    f"AND classid = {LOCK_SPACE} AND objid = hashtext($1)::oid",
)
_FAILURES = (OSError, TimeoutError, StoreRefused, asyncpg.PostgresError, asyncpg.InterfaceError)

_log = structlog.get_logger("watchword.store")


class LockWaits:
    """Looks at one session, and remembers for what and for whom it has waited last."""

    def __init__(self, waiting: int) -> None:
        self._waiting = waiting
        self._loop = asyncio.get_running_loop()
        self._said_at = -SAY_SECONDS
        self._has_named = False
        self.held_by = ""

    async def look(self, connect: Callable[[], Coroutine[Any, Any, Connection]], migration: str) -> None:
        """Look until cancelled, or until the connection fails. Each wait gives a line in the log."""
        # Most migrations end before.
        await asyncio.sleep(LOOK_SECONDS)
        with suppress(*_FAILURES):
            connection: Any = await connect()
            try:
                while True:
                    if self._note(await connection.fetch(_OF_A_TABLE, self._waiting)):
                        self.say(migration)
                    await asyncio.sleep(LOOK_SECONDS)
            finally:
                connection.terminate()

    async def note_node(self, connection: Connection) -> None:
        """Remember which other node migrates."""
        self._note(await connection.fetch(_ANOTHER_NODE, lock_name(connection.schema, "migrations")))

    def _note(self, rows: Sequence[asyncpg.Record]) -> bool:
        if rows:
            wanted = f"{rows[0]['wanted']}: " if rows[0]["wanted"] else ""
            self.held_by = wanted + ", ".join(map(_holder, rows))
        return bool(rows)

    def say(self, migration: str) -> None:
        """A line about the wait, unless there was one a moment ago that said no less."""
        is_news = bool(self.held_by) and not self._has_named
        if is_news or self._loop.time() - self._said_at >= SAY_SECONDS:
            self._said_at = self._loop.time()
            self._has_named = bool(self.held_by)
            _log.warning("a migration waits for a lock", migration=migration, held_by=self.held_by or "unknown")


@asynccontextmanager
async def looking(
    connection: Connection, connect: Callable[[], Coroutine[Any, Any, Connection]], migration: str
) -> AsyncIterator[LockWaits]:
    """Look at what `connection` waits for meanwhile. If there is no second connection, nobody looks."""
    waits = LockWaits(await connection.fetchval("SELECT pg_backend_pid()"))
    async with beside(waits.look(connect, migration)):
        yield waits


def _holder(row: asyncpg.Record) -> str:
    if row["holder"] == 0:
        return "a prepared transaction (pg_prepared_xacts)"
    about = [row["program"] or "no name", f"role {row['role']}"]
    if row["state"] is not None and row["seconds"] is not None:
        about.append(f"{row['state']}, {row['seconds']} s in its transaction")
    return f"pid {row['holder']} ({', '.join(about)})"
