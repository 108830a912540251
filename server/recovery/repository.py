"""The SQL of requests for mails. Who has sent them, and for whom, is not looked at here."""

from __future__ import annotations

from dataclasses import astuple, fields

from server.database.driver import Driver, Transaction
from server.database.inserting import insert_into
from server.recovery.model import MailRequest

_COLUMNS = [field.name for field in fields(MailRequest)]
_INSERT = insert_into("mail_requests", _COLUMNS)
# Another node that has taken the same one is not waited for.
_WANTED = {
    "sqlite": "$1",
    "postgres": "(SELECT id FROM mail_requests WHERE id = $1 FOR UPDATE SKIP LOCKED)",
}


class MailRequestRepository:
    """Writes and takes requests. What takes a Transaction is a part of the caller's unit."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._take = f"DELETE FROM mail_requests WHERE id = {_WANTED[driver.dialect]} RETURNING id"

    async def insert(self, transaction: Transaction, request: MailRequest) -> None:
        """Add a request."""
        await transaction.run(_INSERT, *astuple(request))

    async def oldest(self, limit: int) -> list[MailRequest]:
        """The requests that have waited the longest."""
        sql = f"SELECT {', '.join(_COLUMNS)} FROM mail_requests ORDER BY id LIMIT $1"
        return [MailRequest(**row) for row in await self._driver.read(sql, limit)]

    async def take(self, transaction: Transaction, request_id: str) -> bool:
        """Delete a request with this transaction; False if another one has taken it."""
        return bool(await transaction.run(self._take, request_id))

    async def drop(self, request_id: str) -> None:
        """Delete a request that can't be answered."""
        await self._driver.write_one("DELETE FROM mail_requests WHERE id = $1", request_id)

    async def drop_older(self, created_before: int) -> None:
        """Delete the requests that were made before that time."""
        await self._driver.write_one("DELETE FROM mail_requests WHERE created_at < $1", created_before)
