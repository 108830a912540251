"""A connection of its own for what has to be known within a second, however busy the pool is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import asyncpg

from server.store.driver import Row

CHANNEL = "watchword"
# To connect and listen, and for a read: who takes longer is given up, and the pool asked.
OPENING_SECONDS = 5.0
READ_SECONDS = 1.0

_FAILURES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Watch:
    """Listens, and reads. Opens itself, and again after a failure, while others go on waiting."""

    def __init__(self, url: str, session: Mapping[str, str]) -> None:
        self._url = url
        self._session = dict(session)
        self._connection: asyncpg.Connection[Any] | None = None
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

    async def read(self, sql: str, parameters: Sequence[Any]) -> Sequence[Row] | None:
        """The rows; None if this connection can't tell now."""
        async with self._reading:
            connection = self._connection
            if connection is None or connection.is_closed():
                return None
            try:
                rows: Sequence[Row] = await connection.fetch(sql, *parameters, timeout=READ_SECONDS)
            except _FAILURES:
                connection.terminate()
                return None
            return rows

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
        """What fails here is tried again with the next wait."""
        with suppress(*_FAILURES):
            async with asyncio.timeout(OPENING_SECONDS):
                connection = await asyncpg.connect(self._url, server_settings=self._session)
                try:
                    await connection.add_listener(CHANNEL, self.told)
                except BaseException:
                    connection.terminate()
                    raise
            self._connection = connection
            # What was announced before is not told again.
            self._changed.set()
