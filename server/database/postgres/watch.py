"""A connection of its own for what has to be known within a second, however busy the pool is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import asyncpg

from server.core.errors import StoreRefused
from server.database.driver import Row
from server.database.postgres.connect import Connection

CHANNEL = "watchword"
OPENING_SECONDS = 3.0
# A connection that has answered before does so within a second, or it is lost and a new one is asked; the first time it
# may have much to tell. And both together have so long.
ANSWER_SECONDS = 1.0
READ_SECONDS = 3.0

_FAILURES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Watch:
    """Listens, and reads. Opens itself with the first `wait`, and again after a failure, while others go on waiting."""

    def __init__(self, connect: Callable[[], Coroutine[Any, Any, Connection]]) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._has_answered = False
        self._opening: asyncio.Task[None] | None = None
        self._reading = asyncio.Lock()
        self._changed = asyncio.Event()

    async def wait(self, timeout_seconds: float) -> None:
        """Until a notification comes, but no longer than that: one can get lost with its connection."""
        self._open_if_closed()
        # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the event.
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._changed.wait()
        self._changed.clear()

    async def read(self, sql: str, parameters: Sequence[Any], seconds: float) -> Sequence[Row] | None:
        """The rows, from a new connection if this one has failed; None if that can't tell either, or not in time."""
        try:
            async with asyncio.timeout(min(seconds, READ_SECONDS)), self._reading:
                for _ in range(2):
                    connection = await self._connected()
                    if connection is None:
                        break
                    with suppress(*_FAILURES):
                        return await self._fetch(connection, sql, parameters)
                    connection.terminate()
        except TimeoutError:
            # Who had less time has not found out that it is lost.
            if seconds >= READ_SECONDS and self._connection is not None:
                self._connection.terminate()
        return None

    async def _fetch(self, connection: Connection, sql: str, parameters: Sequence[Any]) -> Sequence[Row]:
        seconds = ANSWER_SECONDS if self._has_answered else READ_SECONDS
        rows: Any = await connection.fetch(sql, *parameters, timeout=seconds)
        self._has_answered = True
        return rows  # type: ignore[no-any-return]

    async def _connected(self) -> Connection | None:
        """Who never waits, as a command, has no such connection."""
        if self._opening is None:
            return None
        self._open_if_closed()
        await asyncio.wait([self._opening], timeout=OPENING_SECONDS)
        connection = self._connection
        return None if connection is None or connection.is_closed() else connection

    def told(self, *_: object) -> None:
        """A notification has come."""
        self._changed.set()

    async def close(self) -> None:
        """At once: nothing is under way that anybody waits for."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        if self._connection is not None:
            self._connection.terminate()

    def _open_if_closed(self) -> None:
        if self._opening is not None and not self._opening.done():
            return
        if self._connection is None or self._connection.is_closed():
            self._opening = asyncio.create_task(self._open())

    async def _open(self) -> None:
        """What fails here is tried again with the next wait or read."""
        with suppress(StoreRefused, *_FAILURES):
            async with asyncio.timeout(OPENING_SECONDS):
                connection = await self._connect()
                try:
                    await connection.add_listener(CHANNEL, self.told)
                except BaseException:
                    connection.terminate()
                    raise
            self._connection, self._has_answered = connection, False
            # What was announced before is not told again.
            self._changed.set()
