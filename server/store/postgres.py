"""The PostgreSQL driver, through asyncpg. Many nodes may share a database; nothing here assumes one."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import structlog

from server.clock import SystemClock
from server.errors import ApiError, StoreRefused, StoreUnavailable
from server.store.driver import Result, Row, Unit
from server.store.migrate import CREATE_TABLE, Applied, pending
from server.store.migrations import Migration, migrations

# Everything lives in a schema of our own, so the database may have other tenants.
SCHEMA = "watchword"
COMMAND_SECONDS = 10.0
CONNECT_SECONDS = 5.0
SERVING_CONNECTIONS = 10
ATTEMPTS = 4

_RETRIED = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)

_log = structlog.get_logger("watchword.store")


class _Transaction:
    """Statements on a connection inside a transaction."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def run(self, sql: str, *parameters: Any) -> list[Row]:
        """One statement."""
        return list(await self._connection.fetch(sql, *parameters))

    async def lock(self, name: str) -> None:
        """An advisory lock that the end of the transaction releases."""
        await self._connection.execute("SELECT pg_advisory_xact_lock($1)", _lock_number(name))


def _lock_number(name: str) -> int:
    """Advisory locks have numbers; ours are derived from their names."""
    return zlib.crc32(f"{SCHEMA}:{name}".encode())


class PostgresDriver:
    """An open pool. Use `open_postgres`."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def read(self, sql: str, *parameters: Any) -> list[Row]:
        """On any connection."""
        try:
            async with self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
                return list(await connection.fetch(sql, *parameters))
        except _FAILURES as error:
            raise _unavailable(error) from error

    async def write(self, unit: Unit[Result]) -> Result:
        """A transaction; one that lost to another (deadlock, serialization) is tried again."""
        for attempt in range(ATTEMPTS):
            try:
                async with self._pool.acquire(timeout=CONNECT_SECONDS) as connection, connection.transaction():
                    return await unit(_Transaction(connection))
            except _RETRIED as error:
                if attempt == ATTEMPTS - 1:
                    raise _unavailable(error) from error
            except asyncpg.UniqueViolationError:
                raise
            except _FAILURES as error:
                raise _unavailable(error) from error
        raise AssertionError("the last attempt returns or raises")

    def in_list(self, column: str, values: Sequence[str]) -> tuple[str, Any]:
        """As an array."""
        return f"{column} = ANY($1::text[])", values

    def is_unique_violation(self, error: Exception) -> bool:
        """By SQLSTATE 23505."""
        return isinstance(error, asyncpg.UniqueViolationError)

    async def close(self) -> None:
        """Wait for what is under way, then close."""
        try:
            await asyncio.wait_for(self._pool.close(), COMMAND_SECONDS)
        except TimeoutError:
            self._pool.terminate()


def _unavailable(error: Exception) -> ApiError:
    _log.warning("the store did not answer", reason=type(error).__name__)
    return StoreUnavailable()


async def open_postgres(url: str, *, serving: bool) -> PostgresDriver:
    """Migrate under an advisory lock, so any number of nodes may start at once, then open the pool."""
    await apply_migrations(url)
    pool = await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=SERVING_CONNECTIONS if serving else 1,
        command_timeout=COMMAND_SECONDS,
        timeout=CONNECT_SECONDS,
        server_settings={"search_path": SCHEMA, "application_name": "watchword"},
    )
    return PostgresDriver(pool)


async def pending_migrations(url: str) -> list[Migration]:
    """What `migrate` would apply. Changes nothing."""
    async with _connected(url) as connection:
        return pending(migrations("postgres"), await _applied(connection))


async def apply_migrations(url: str) -> list[Migration]:
    """Bring the database up to date, each migration in a transaction."""
    async with _connected(url) as connection:
        lock = _lock_number("migrations")
        await connection.execute("SELECT pg_advisory_lock($1)", lock)
        try:
            todo = pending(migrations("postgres"), await _applied(connection))
            for migration in todo:
                async with connection.transaction():
                    await _apply(connection, migration)
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1)", lock)
    return todo


async def _apply(connection: Any, migration: Migration) -> None:
    if migration.version == 1:
        await connection.execute(f"CREATE SCHEMA {SCHEMA}")
        await connection.execute(CREATE_TABLE)
    await connection.execute(migration.sql)
    await connection.execute(
        "INSERT INTO schema_migrations (version, name, sha256, applied_at) VALUES ($1, $2, $3, $4)",
        migration.version,
        migration.name,
        migration.sha256,
        SystemClock().now_ms(),
    )


async def _applied(connection: Any) -> list[Applied]:
    """What was applied; nothing if the schema is not there. Raises StoreRefused if it is somebody else's."""
    if await connection.fetchval("SELECT to_regnamespace($1) IS NULL", SCHEMA):
        return []
    if await connection.fetchval("SELECT to_regclass($1) IS NULL", f"{SCHEMA}.schema_migrations"):
        raise StoreRefused(f"the schema {SCHEMA!r} of this database is not ours; set store.url to another database")
    rows = await connection.fetch("SELECT version, name, sha256 FROM schema_migrations ORDER BY version")
    return [Applied(*row) for row in rows]


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    """A connection of its own. The message of a failure has no URL, for that may hold a password."""
    try:
        connection = await asyncpg.connect(
            url, timeout=CONNECT_SECONDS, command_timeout=60, server_settings={"search_path": SCHEMA}
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise StoreRefused(f"PostgreSQL can't be reached ({reason}); check store.url and that it runs") from None
    try:
        yield connection
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise StoreRefused(f"PostgreSQL did not take the migrations ({type(error).__name__}: {error})") from None
    finally:
        await connection.close(timeout=CONNECT_SECONDS)
