"""PostgreSQL, through asyncpg. Nothing here assumes that this process is the only one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self

import asyncpg

from server.errors import StoreRefused, StoreUnavailable
from server.store import postgres_schema
from server.store.driver import Result, Row, Unit
from server.store.failure import unavailable
from server.store.postgres_schema import Connection
from server.store.postgres_watch import CHANNEL, Watch

CONNECT_SECONDS = 5.0
COMMAND_SECONDS = 10.0
# How long a caller waits for a connection of the pool.
POOL_SECONDS = 5.0
SERVING_CONNECTIONS = 10
# A unit that met a deadlock is run again, at most so often in all.
ATTEMPTS = 5
# A snapshot that has seen no transaction at all.
NOTHING_SEEN = "1:1:"
_SESSION = {
    "search_path": postgres_schema.SCHEMA,
    "application_name": "watchword",
    # To compile a query, or to start workers for it, takes longer than any of ours runs.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
}

# Transactions do not commit in the order of their numbers. The cursor is a snapshot, and what it had not seen is new.
_REVOCATIONS_SINCE = (
    "SELECT pg_current_snapshot()::text, seq, session_id, user_id, role, role_changed_at, forget_at "
    "FROM (SELECT CAST(CAST($1 AS TEXT) AS pg_snapshot) AS before) AS seen LEFT JOIN revocations "
    "ON made_by >= pg_snapshot_xmin(before) AND NOT pg_visible_in_snapshot(made_by, before) ORDER BY seq"
)


class _Transaction:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def run(self, sql: str, *parameters: Any) -> Sequence[Row]:
        return await self._connection.fetch(sql, *parameters)

    async def lock(self, name: str) -> None:
        await postgres_schema.lock(self._connection, name)

    async def announce(self) -> None:
        await self._connection.execute("SELECT pg_notify($1, '')", CHANNEL)


class PostgresDriver:
    """The driver of driver.py on a PostgreSQL database."""

    def __init__(self, pool: asyncpg.Pool[Any], url: str) -> None:
        self._pool = pool
        self._watch = Watch(url, _SESSION)
        self._closed = False

    @classmethod
    async def open(cls, url: str, *, serving: bool) -> Self:
        """Connect and migrate. Raises StoreRefused, StoreUnavailable."""
        await apply_migrations(url)
        with _opening():
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=SERVING_CONNECTIONS if serving else 1,
                timeout=CONNECT_SECONDS,
                command_timeout=COMMAND_SECONDS,
                server_settings=_SESSION,
                init=_wait_for_disk,
                reset=_keep_session,
            )
            return cls(pool, url)

    async def read(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run a SELECT."""
        with _unavailable():
            return await self._fetch(sql, parameters)

    async def write(self, unit: Unit[Result]) -> Result:
        """Run a unit in a transaction; again, if it met a deadlock."""
        return await _attempts(lambda: self._write_once(unit))

    async def write_one(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run a statement, which is a transaction of its own, in one round trip."""
        return await _attempts(lambda: self._fetch(sql, parameters))

    async def _fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Row]:
        async with self._pool.acquire(timeout=POOL_SECONDS) as connection:
            return await connection.fetch(sql, *parameters)

    async def _write_once(self, unit: Unit[Result]) -> Result:
        # Stated, since a database may have another default: what is read behind a lock has to be fresh.
        async with (
            self._pool.acquire(timeout=POOL_SECONDS) as connection,
            connection.transaction(isolation="read_committed"),
        ):
            return await unit(_Transaction(connection))

    async def read_soon(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """On the connection that listens; if it can't tell, from the pool."""
        rows = await self._watch.read(sql, parameters)
        return await self.read(sql, *parameters) if rows is None else rows

    async def revocations_since(self, cursor: str) -> Sequence[Row]:
        """From a snapshot on."""
        return await self.read_soon(_REVOCATIONS_SINCE, NOTHING_SEEN if cursor == "0" else cursor)

    async def wait_for_change(self, timeout_seconds: float) -> None:
        """By LISTEN."""
        await self._watch.wait(timeout_seconds)

    def in_list(self, column: str) -> str:
        """An array."""
        return f"{column} = ANY($1::text[])"

    def list_value(self, values: Sequence[str]) -> Any:
        """As it is."""
        return values

    def locking(self, select: str) -> str:
        """Rows are sorted first, then locked."""
        return f"{select} FOR UPDATE"

    def users_with_grams(self, place: str) -> str:
        """By the index of arrays."""
        return f"users WHERE grams(search_text) @> {place}::text[]"

    def grams_value(self, grams: Sequence[str]) -> Any:
        """As they are."""
        return grams

    async def close(self) -> None:
        """Wait for what is under way, but not for ever."""
        if self._closed:
            return
        self._closed = True
        await self._watch.close()
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


async def pending_names(url: str) -> list[str]:
    """The names of the migrations that the database needs. Changes nothing. Raises StoreRefused, StoreUnavailable."""
    async with _connected(url) as connection:
        return await postgres_schema.pending_names(connection)


async def apply_migrations(url: str) -> list[str]:
    """Bring the database up to date; the names of what was applied. Raises StoreRefused, StoreUnavailable."""
    async with _connected(url) as connection:
        return await postgres_schema.apply_migrations(connection)


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Connection]:
    with _opening():
        # A migration may take as long as it needs, so commands have no limit here.
        connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS, server_settings=_SESSION)
        try:
            yield connection
        finally:
            await connection.close(timeout=CONNECT_SECONDS)


async def _attempts(write: Callable[[], Awaitable[Result]]) -> Result:
    with _unavailable():
        for _ in range(ATTEMPTS - 1):
            try:
                return await write()
            except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError):
                continue
        return await write()


async def _wait_for_disk(connection: Any) -> None:
    """A database may have it that commits do not wait for the disk; what is acknowledged here has to last."""
    if await connection.fetchval("SHOW synchronous_commit") == "off":
        await connection.execute("SET synchronous_commit = on")


async def _keep_session(_: Any) -> None:
    """Units leave nothing behind in the session, so a connection goes back to the pool without a round trip."""


def _is_defect(error: BaseException) -> bool:
    """A statement or a value of ours is at fault, not the database."""
    return isinstance(
        error, ValueError | asyncpg.IntegrityConstraintViolationError | asyncpg.DataError | asyncpg.PostgresSyntaxError
    )


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        if _is_defect(error):
            raise
        raise unavailable(error) from error


@contextmanager
def _opening() -> Iterator[None]:
    """Tells the person at the start what is wrong, without the URL: it may hold a password."""
    try:
        yield
    except (asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError, OSError, TimeoutError) as error:
        failure = StoreUnavailable()
        failure.detail = f"PostgreSQL can't be reached ({str(error) or 'no answer in time'}); check store.url"
        raise failure from error
    except asyncpg.PostgresError as error:
        raise StoreRefused(f"PostgreSQL refuses ({error}); check store.url and the rights of its user") from error
    except (ValueError, asyncpg.InterfaceError):
        raise StoreRefused(
            "store.url can't be read; write postgresql://user:password@host/database; in the password, @ : / as % codes"
        ) from None
