"""The connection that listens for changes and reads them. Even if the pool is busy, they are known within a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import asyncpg

from server.core.errors import StoreRefused
from server.database.driver import Row
from server.database.postgres.connect import Connector
from server.database.postgres.connection import Connection

OPENING_SECONDS = 3.0
# A connection has to answer within ANSWER_SECONDS, or it counts as lost and a new one is made. Its first answer may
# take longer, since it may have many rows. A read with both connections takes at most READ_SECONDS.
ANSWER_SECONDS = 1.0
READ_SECONDS = 3.0

_FAILURES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Watch:
    """Listens for notifications, and reads. It connects at the first `wait`, and again in the background."""

    def __init__(self, connect: Connector) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._has_answered = False
        self._opening: asyncio.Task[None] | None = None
        self._reading = asyncio.Lock()
        self._changed = asyncio.Event()
        # Called when a connection was tried and has not answered.
        self.on_silence: Callable[[], None] = lambda: None

    async def wait(self, timeout_seconds: float) -> None:
        """Wait for a notification, at most so long: a notification is lost if its connection breaks."""
        self._open_if_closed()
        # asyncio.wait_for of Python 3.11 would lose a cancellation that comes together with the event.
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._changed.wait()
        self._changed.clear()

    async def read(self, sql: str, parameters: Sequence[Any], seconds: float) -> Sequence[Row] | None:
        """The rows. If the connection fails, a new one is tried; None if that fails too, or after `seconds`."""
        try:
            async with asyncio.timeout(min(seconds, READ_SECONDS)), self._reading:
                for _ in range(2):
                    connection = await self._connected()
                    if connection is None:
                        break
                    with suppress(*_FAILURES):
                        return await self._fetch(connection, sql, parameters)
                    connection.terminate()
                    self.on_silence()
        except TimeoutError:
            # A shorter timeout does not show that the connection is lost.
            if seconds >= READ_SECONDS and self._connection is not None:
                self._connection.terminate()
            self.on_silence()
        return None

    async def _fetch(self, connection: Connection, sql: str, parameters: Sequence[Any]) -> Sequence[Row]:
        seconds = ANSWER_SECONDS if self._has_answered else READ_SECONDS
        rows: Any = await connection.run_alone(sql, *parameters, seconds=seconds)
        self._has_answered = True
        return rows  # type: ignore[no-any-return]

    async def _connected(self) -> Connection | None:
        """The open connection; None in a command, which never calls `wait`, and if it can't be opened in time."""
        if self._opening is None:
            return None
        self._open_if_closed()
        await asyncio.wait([self._opening], timeout=OPENING_SECONDS)
        connection = self._connection
        return None if connection is None or connection.is_closed() else connection

    def told(self, *_: object) -> None:
        """Note that a notification came; asyncpg calls it."""
        self._changed.set()

    def try_again(self) -> None:
        """Connect anew at once, if the attempt under way may wait for an answer that was lost."""
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
            self._opening = asyncio.create_task(self._open())

    async def close(self) -> None:
        """Close at once, without waiting for a read."""
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
        """Connect and listen. After a failure, the next wait or read tries again."""
        with suppress(StoreRefused, *_FAILURES):
            async with asyncio.timeout(max(OPENING_SECONDS, self._connect.store.connect_timeout_seconds)):
                connection = await self._connect()
                try:
                    await connection.add_listener(connection.channel, self.told)
                except BaseException:
                    connection.terminate()
                    raise
            self._connection, self._has_answered = connection, False
            # Notifications from before the connection are lost, so readers have to look once.
            self._changed.set()
