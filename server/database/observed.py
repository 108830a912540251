"""A driver that tells an observer of each call. Without an observer it is not there, so it costs nothing."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Sequence
from typing import Any

from server.core.errors import StoreRefused, StoreUnavailable
from server.core.observer import Observer, StoreOperation
from server.database.driver import Added, Dialect, Driver, Result, Row, Unit


class ObservedDriver:
    """The driver of driver.py around another one."""

    def __init__(self, driver: Driver, observer: Observer) -> None:
        self._driver = driver
        self._observer = observer

    @property
    def dialect(self) -> Dialect:
        """That of the driver inside."""
        return self._driver.dialect

    async def _observed(self, operation: StoreOperation, call: Awaitable[Result]) -> Result:
        started = time.monotonic()
        failed = False
        try:
            return await call
        except StoreUnavailable:
            failed = True
            raise
        finally:
            self._observer.store_used(operation, started, failed=failed)

    async def read(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """A read."""
        return await self._observed("read", self._driver.read(sql, *parameters))

    async def read_soon(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """A read."""
        return await self._observed("read", self._driver.read_soon(sql, *parameters))

    async def write(self, unit: Unit[Result]) -> Result:
        """A write, with the time that it waits for its turn."""
        return await self._observed("write", self._driver.write(unit))

    async def write_one(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """A write, with the time that it waits for its turn."""
        return await self._observed("write", self._driver.write_one(sql, *parameters))

    async def added_since(self, cursor: str, table: str, columns: str, packed: str) -> Added:
        """What follows other processes."""
        return await self._observed("follow", self._driver.added_since(cursor, table, columns, packed))

    def require_room(self) -> None:
        """Not a call of the store."""
        self._driver.require_room()

    def in_list(self, column: str) -> str:
        """Not a call of the store."""
        return self._driver.in_list(column)

    def list_value(self, values: Sequence[str]) -> Any:
        """Not a call of the store."""
        return self._driver.list_value(values)

    def locking(self, select: str) -> str:
        """Not a call of the store."""
        return self._driver.locking(select)

    def held_descriptors(self) -> Sequence[int]:
        """Not a call of the store."""
        return self._driver.held_descriptors()

    async def wait_for_change(self, timeout_seconds: float) -> None:
        """Not observed: nearly all of its time is the wait itself."""
        await self._driver.wait_for_change(timeout_seconds)

    async def check_rest(self) -> None:
        """Not a call of the store."""
        await self._driver.check_rest()

    async def refusal_of_damage(self) -> StoreRefused | None:
        """Not a call of the store."""
        return await self._driver.refusal_of_damage()

    async def close(self) -> None:
        """Close the driver inside."""
        await self._driver.close()
