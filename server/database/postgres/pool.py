"""The pool of connections to PostgreSQL, with the checks before and the cleaning after each use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self
from weakref import WeakSet

import asyncpg

from server.database.driver import Result
from server.database.postgres.connect import Connector
from server.database.postgres.connection import Connection
from server.database.postgres.reach import Reach

# A connection that was unused for IDLE_SECONDS is tested first, and has to answer within PROBE_SECONDS.
IDLE_SECONDS = 1.0
PROBE_SECONDS = 1.0
# The pause between attempts to connect to a server that has no free slot. One caller connects at a time.
SLOT_SECONDS = 0.02
# A connection that can't be cleaned within this time is closed.
TIDY_SECONDS = 1.0
CLOSE_SECONDS = 2.0
# So many calls may wait for a connection. On a healthy database even a burst of requests stays below this.
WAITING_CALLS = 2048
# Errors that a new session does not have: a pooler has lost prepared statements, or the database was set to read-only
# when the session began.
_OF_THE_SESSION = (asyncpg.InvalidSQLStatementNameError, asyncpg.ReadOnlySQLTransactionError)
# Why no connection could be made.
_NO_CONNECTION = (OSError, asyncpg.PostgresError, asyncpg.InternalClientError)


class TooManyWaitError(TimeoutError):
    """So many calls wait for a connection that one more would hardly get one in time."""

    reason = "too many calls wait for a connection"
    # Nothing was sent.
    undone = True


class Pool:
    """A pool of asyncpg whose connections are tested before they are used, and cleaned or closed afterwards."""

    def __init__(self, connections: asyncpg.Pool[Any], made: WeakSet[Connection], reach: Reach | None) -> None:
        """With `reach` it serves: requests wait for a slot of the server, but not for one that is known to be away."""
        self._connections = connections
        self._made = made
        self.reach = reach
        self._loop = asyncio.get_running_loop()
        self._tidying: set[asyncio.Task[None]] = set()
        self._for_a_slot = asyncio.Lock()
        self._waiting: set[asyncio.Timeout] = set()
        if reach is not None:
            reach.on_away.append(self._end_waiting)
            reach.on_answer.append(self._drop_idle)

    @classmethod
    async def open(cls, connect: Connector, *, serving: bool) -> Self:
        """Make a pool with one connection. Raises what `connect` raises."""
        made: WeakSet[Connection] = WeakSet()
        reach = Reach(connect) if serving else None

        async def connect_for_pool(*_: Any, **options: Any) -> Connection:
            connection = await connect(**options)
            made.add(connection)
            if reach is not None:
                connection.heard = reach.heard
            return connection

        options: dict[str, Any] = {
            "connect": connect_for_pool,
            "connection_class": Connection,
            # No connections are kept up: asyncpg would make them again in the background, with a traceback in the log
            # for each failure.
            "min_size": 0,
            "init_size": 1,
            "max_size": connect.store.pool_size if serving else 1,
            "reset": _keep_session,
        }
        return cls(await asyncpg.create_pool(**options), made, reach)

    async def only_reads(self) -> bool:
        """Whether the database is set to take no writes."""
        return bool(await self._connections.fetchval("SHOW transaction_read_only") == "on")

    async def run(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Do `work` with a connection. If `work` raises, the connection is rolled back before the error is raised."""
        if self.reach is None:
            return await self._do(work, await self._acquire())
        try:
            return await self._do(work, await self._soon_acquired(self.reach))
        except BaseException as error:
            self.reach.failed(error)
            raise

    async def _do(self, work: Callable[[Connection], Awaitable[Result]], connection: Any) -> Result:
        try:
            with _lost_told(connection):
                result = await work(connection)
        except BaseException as error:
            tidying = asyncio.create_task(self._tidy(connection, error))
            self._tidying.add(tidying)
            tidying.add_done_callback(self._tidying.discard)
            if isinstance(error, Exception):
                # The locks of the transaction are released before the caller gets its error. A cancelled caller does
                # not wait for that.
                await asyncio.shield(tidying)
            raise
        with suppress(Exception):
            # The work is committed, even if the connection was lost afterwards.
            await self._connections.release(connection, timeout=TIDY_SECONDS)
        return result

    async def _soon_acquired(self, reach: Reach) -> Any:
        """A connection, in the time of the caller. Raises at once if there is none to be expected."""
        reach.require()
        if len(self._waiting) >= WAITING_CALLS:
            raise TooManyWaitError
        try:
            async with asyncio.timeout(None) as wait:
                self._waiting.add(wait)
                try:
                    return await self._acquire()
                finally:
                    self._waiting.discard(wait)
        except TimeoutError:
            reach.require()
            raise

    def _end_waiting(self) -> None:
        now = self._loop.time()
        for wait in self._waiting:
            wait.reschedule(now)

    async def _acquire(self) -> Any:
        while True:
            try:
                connection: Any = await self._connections.acquire()
            except _NO_CONNECTION as error:
                if self.reach is None or not self._goes_on_without(error):
                    raise
                async with self._for_a_slot:
                    await asyncio.sleep(SLOT_SECONDS)
                continue
            used_at = connection.taken()
            if used_at is None or self._loop.time() - used_at < IDLE_SECONDS:
                return connection
            try:
                # The network may have dropped the connection without notice, or the server may hang.
                await connection.fetch("SELECT 1", timeout=PROBE_SECONDS)
            except BaseException as error:
                connection.terminate()
                if not isinstance(error, Exception):
                    raise
                if self.reach is not None:
                    self.reach.failed(error)
            else:
                return connection

    def _goes_on_without(self, error: BaseException) -> bool:
        """Whether a caller should wait for another connection: for a free slot, or for one that works already.

        Those go on after the name of the host is lost, or the password is another one.
        """
        if isinstance(error, asyncpg.TooManyConnectionsError):
            return True
        return any(not one.is_closed() for one in self._made)

    async def _tidy(self, connection: Any, error: BaseException) -> None:
        """Give a connection back after a failure, rolled back or closed. Raises nothing."""
        try:
            async with asyncio.timeout(TIDY_SECONDS):
                if isinstance(error, asyncio.CancelledError | TimeoutError):
                    # This waits until the server has ended the statement, which may be the BEGIN of a transaction.
                    await connection.execute(";")
                if connection.is_in_transaction():
                    await connection.execute("ROLLBACK")
            if isinstance(error, _OF_THE_SESSION):
                connection.terminate()
            # With a timeout of its own: after ours, asyncpg would go on alone, and nobody would see it fail.
            await self._connections.release(connection, timeout=TIDY_SECONDS)
        except Exception:  # noqa: BLE001 - after any failure here, nobody should use this connection again
            with suppress(asyncpg.InterfaceError):
                connection.terminate()

    def _drop_idle(self) -> None:
        """Close what was unused for a while: after an outage each of them would be tested, and perhaps not answer."""
        now = self._loop.time()
        for connection in list(self._made):
            if connection.used_at is not None and now - connection.used_at >= IDLE_SECONDS:
                connection.terminate()

    def drop_connections(self) -> None:
        """Close all connections. From now on new ones are made."""
        for connection in list(self._made):
            connection.terminate()

    async def close(self) -> None:
        """Wait for running work, at most CLOSE_SECONDS, then close all connections."""
        seconds = CLOSE_SECONDS
        if self.reach is not None:
            await self.reach.close()
            if self.reach.is_away:
                # What is under way gets no answer any more.
                seconds = 0.0
        try:
            async with asyncio.timeout(seconds):
                await self._connections.close()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._connections.terminate()


async def _keep_session(connection: Any) -> None:
    """Note when the connection was used. Our transactions change no session settings, so it needs no RESET."""
    connection.used_at = asyncio.get_running_loop().time()


@contextmanager
def _lost_told(connection: Any) -> Iterator[None]:
    """Raise an error of connections if one is lost between two statements.

    asyncpg then takes it away from who has it. Its own methods say so, but what our class adds is not found any more.
    """
    try:
        yield
    except AttributeError as error:
        try:
            connection.is_closed()
        except asyncpg.InterfaceError as lost:
            raise lost from error
        raise
