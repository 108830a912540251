"""The SQL that checks whether a login could write."""

from __future__ import annotations

from contextlib import suppress

from server.database.driver import Driver, Transaction

# The writes of a login, each without a row. Each waits for a lock on its table as a login would, and fails if the table
# or the right to write to it is missing.
_AS_A_LOGIN = (
    "INSERT INTO guesses (key) SELECT key FROM guesses WHERE 1 = 0 ON CONFLICT (key) DO UPDATE SET failures = 0",
    "UPDATE users SET last_login_at = 0 WHERE 1 = 0",
    "INSERT INTO sessions (id) SELECT id FROM sessions WHERE 1 = 0",
    "UPDATE audit_head SET seq = 0 WHERE 1 = 0",
    "INSERT INTO audit_events (seq) SELECT seq FROM audit_events WHERE 1 = 0",
)
_WRITE = (
    "INSERT INTO readiness (id, writes) VALUES (1, 1) "
    "ON CONFLICT (id) DO UPDATE SET writes = readiness.writes + 1 RETURNING id"
)


class _Undone(Exception):
    """Rolls a transaction back."""


class ReadinessRepository:
    """Checks the writes of a login, on any driver."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def rehearse(self) -> None:
        """Run the writes of a login, and undo them. Raises StoreUnavailable.

        Nothing gets to the disk, so this does not notice that it is full.
        """

        async def unit(transaction: Transaction) -> None:
            for statement in (*_AS_A_LOGIN, _WRITE):
                await transaction.run(statement)
            raise _Undone

        with suppress(_Undone):
            await self._driver.write(unit)

    async def ping(self) -> None:
        """Return when one row is on disk and the writes of a login would work. Raises StoreUnavailable.

        It is always the same row, with a counter: SQLite would write nothing if the row did not change.
        """
        self._driver.require_room()
        for statement in _AS_A_LOGIN:
            await self._driver.write_one(statement)
        await self._driver.write_one(_WRITE)
