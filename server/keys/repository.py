"""The SQL of the server's own keys: a few rows, which are read and replaced all together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, fields

from server.audit.model import AuditNote
from server.audit.repository import AuditRepository
from server.database.driver import Driver, Transaction
from server.database.inserting import insert_into
from server.keys.model import KeyRecord

_COLUMNS = [field.name for field in fields(KeyRecord)]
_KEY = ", ".join(_COLUMNS)
_LIST = f"SELECT {_KEY} FROM server_keys ORDER BY created_at, kid"
_INSERT = insert_into("server_keys", _COLUMNS)


class KeyRepository:
    """Reads all keys, and replaces them if nobody else was faster."""

    def __init__(self, driver: Driver, audit: AuditRepository) -> None:
        self._driver = driver
        self._audit = audit

    async def list_keys(self) -> list[KeyRecord]:
        """All keys in the order of creation. It does not wait for the pool, since revocations have to be known soon."""
        return [KeyRecord(**row) for row in await self._driver.read_soon(_LIST)]

    async def swap_keys(
        self, seen: Sequence[KeyRecord], wanted: Sequence[KeyRecord], note: AuditNote | None = None
    ) -> bool:
        """Replace the keys `seen` by `wanted`; False, and no change, if the store has other keys than `seen` by now.

        It holds a lock, so if several nodes have read the same keys, only one of them changes them.
        """
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> bool:
            await transaction.lock("keys")
            if [KeyRecord(**row) for row in await transaction.run(_LIST)] != list(seen):
                return False
            for record in seen:
                if record not in wanted:
                    await transaction.run("DELETE FROM server_keys WHERE kid = $1", record.kid)
            for record in wanted:
                if record not in seen:
                    await transaction.run(_INSERT, *astuple(record))
            await transaction.announce()
            if note is not None:
                await audit.write(transaction, note)
            return True

        return await self._driver.write(unit)
