"""A PostgreSQL store that is moved. While it is held, triggers keep every node from writing (postgres/closing.py)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Self

import asyncpg

from server.core.errors import StoreRefused, StoreUnavailable
from server.database.postgres import closing
from server.database.postgres.connect import Connector
from server.database.postgres.connection import Connection
from server.database.postgres.schema import LOCK_SPACE, PLACE, lock_name
from server.database.store_state import StoreState
from server.database.transfer.postgres_tables import STEP_SECONDS, PostgresTables, require_same_program, told
from server.settings.masking import masked_url
from server.settings.tree import StoreSettings

# How long to wait for a table: others wait behind this one. Then it is tried again.
_TABLE_LOCK = "500ms"
_ATTEMPTS = 10
_PAUSE_SECONDS = 0.5
# How long to wait for the transactions that write. Others are refused meanwhile.
_GATE_LOCK = "30s"
# If this machine is cut off, PostgreSQL ends the transaction, and others may write again.
_IDLE = "60s"


class PostgresSource(PostgresTables):
    """See ends.py. It holds the advisory lock of its `nonce`."""

    def __init__(self, connect: Connector, connection: Connection) -> None:
        super().__init__(masked_url(connect.store.url), connection)
        self._connect = connect
        self._is_held = False
        self.nonce: int | None = secrets.randbits(62)

    @classmethod
    @asynccontextmanager
    async def open(cls, store: StoreSettings) -> AsyncIterator[Self]:
        """Connect. Raises StoreRefused, also if it needs migrations."""
        with told(cls.url_is):
            connect = Connector(store, direct=True)
            connection = await connect(command_timeout=STEP_SECONDS)
        try:
            with told(cls.url_is):
                await require_same_program(connection)
            yield cls(connect, connection)
        finally:
            connection.terminate()

    async def state(self) -> StoreState | None:
        """Whether it was moved already."""
        with told(self.url_is):
            return await closing.state_of(self._connection)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Read what is there at one moment, while others write."""
        with told(self.url_is):
            await self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            await self._let_take_long()
        try:
            yield
        finally:
            with suppress(StoreRefused, StoreUnavailable), told(self.url_is):
                await self._connection.execute("ROLLBACK")

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Let nobody write."""
        with told(self.url_is):
            # Each statement sees what is committed by then, and nobody can commit a write meanwhile.
            await self._connection.begin()
            await self._let_take_long()
            if not await _try_mover(self._connection):
                raise _being_moved()
        self._is_held = True
        try:
            await self._aside(_make_gate)
            with told(self.url_is):
                await self._connection.execute(f"SET LOCAL lock_timeout = '{_GATE_LOCK}'")
                await closing.close_gate(self._connection)
            yield
        finally:
            if self._is_held:
                await self._let_go()

    async def _let_go(self) -> None:
        """End the transaction, so others may write, and remove the triggers."""
        self._is_held = False
        with suppress(StoreRefused, StoreUnavailable), told(self.url_is):
            await self._connection.execute("ROLLBACK")
        self._connection.terminate()
        await self._remove_gate()

    async def _remove_gate(self) -> None:
        """Remove the triggers. If they stay, since others use the tables, they let everything pass."""
        with suppress(StoreRefused, StoreUnavailable):
            await self._aside(closing.remove_gate)

    async def _aside(self, work: Callable[[Connection], Awaitable[None]]) -> None:
        """Do something on a connection of its own, again if locks are not free."""
        with told(self.url_is):
            connection = await self._connect(command_timeout=STEP_SECONDS)
            try:
                await connection.execute(f"SET statement_timeout = 0; SET lock_timeout = '{_TABLE_LOCK}'")
                for attempt in range(_ATTEMPTS):
                    try:
                        await work(connection)
                    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                        if attempt + 1 == _ATTEMPTS:
                            raise
                        await asyncio.sleep(_PAUSE_SECONDS)
                    else:
                        return
            finally:
                connection.terminate()

    async def _let_take_long(self) -> None:
        await self._connection.execute(
            f"SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = '{_IDLE}'; "
            f"SET LOCAL tcp_user_timeout = '{_IDLE}'; SELECT pg_advisory_xact_lock({self.nonce})"
        )

    async def alive(self) -> None:
        """Ask for anything: if the connection is lost, so is the lock."""
        await self._value("SELECT 1")

    async def close(self, moved: StoreState) -> None:
        """Write the row, in the transaction that has kept others from writing."""
        with told(self.url_is):
            await closing.set_state(self._connection, moved)
        try:
            with told(self.url_is):
                await self._connection.execute("COMMIT")
        except StoreUnavailable:
            # The connection was lost: the commit may be done or not.
            await self._find_out(moved)
        self._is_held = False

    async def _find_out(self, moved: StoreState) -> None:
        """Raise StoreUnavailable if the commit was not done."""
        found: list[StoreState | None] = []

        async def look(connection: Connection) -> None:
            await connection.begin()
            # It is free when that transaction has ended, however it did.
            await connection.execute(f"SET LOCAL lock_timeout = '{_GATE_LOCK}'")
            await connection.fetch("SELECT pg_advisory_xact_lock($1::int, hashtext($2))", *_mover(connection))
            found.append(await closing.state_of(connection))

        await self._aside(look)
        if found != [moved]:
            failure = StoreUnavailable()
            failure.detail = "the connection to the old store was lost at the last step; it takes writes again"
            raise failure

    async def reopen(self) -> None:
        """Remove row and triggers."""
        await self._aside(_reopen)
        await self._remove_gate()


async def _make_gate(connection: Connection) -> None:
    try:
        await closing.make_gate(connection)
    except asyncpg.InsufficientPrivilegeError as error:
        raise StoreRefused(
            f"this role can't keep others from writing ({error.message}); in store.url, name the role that owns the "
            "tables, as for `migrate`"
        ) from error


async def _reopen(connection: Connection) -> None:
    """Remove the row. Without it, the triggers let everything pass."""
    await connection.begin()
    if not await _try_mover(connection):
        raise _being_moved()
    await closing.clear_state(connection)
    await connection.execute("COMMIT")


async def _try_mover(connection: Connection) -> bool:
    """Take the lock of who moves the store or ends a move, for this transaction; False if another one has it."""
    sql = "SELECT pg_try_advisory_xact_lock($1::int, hashtext($2))"
    return bool((await connection.fetch(sql, *_mover(connection)))[0][0])


def _mover(connection: Connection) -> tuple[int, str]:
    return LOCK_SPACE, lock_name(connection.schema, "store move")


def _being_moved() -> StoreRefused:
    return StoreRefused(f"{PLACE} is being moved by another process; wait for it")


async def state_at(store: StoreSettings, url_is: str) -> StoreState | None:
    """The state of any store."""
    with told(url_is):
        connection = await Connector(store)(command_timeout=STEP_SECONDS)
        try:
            return await closing.state_of(connection)
        finally:
            connection.terminate()
