"""The SQL of the outbox, once for both databases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, fields

from server.database.driver import Driver, Transaction
from server.database.inserting import insert_into
from server.mail.outbox_model import STATE, MailRecord, MailState, Unsent, WrittenMail

_COLUMNS = [field.name for field in fields(WrittenMail)]
_INSERT = insert_into("mails", _COLUMNS)
_RECORD = ", ".join(field.name for field in fields(MailRecord))


class MailRepository:
    """Writes and reads mails. What takes a Transaction is a part of the caller's unit."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def insert(self, transaction: Transaction, mails: Sequence[WrittenMail]) -> None:
        """Add new ones."""
        for mail in mails:
            await transaction.run(_INSERT, *astuple(mail))

    async def get(self, mail_id: str) -> MailRecord | None:
        """The mail of that id."""
        rows = await self._driver.read(f"SELECT {_RECORD} FROM mails WHERE id = $1", mail_id)
        return MailRecord(**rows[0]) if rows else None

    async def list_mails(self, state: MailState | None, limit: int, before_id: str) -> list[MailRecord]:
        """Mails of a state or of any, the newest first, after `before_id` in this order."""
        which, values = ("", ()) if state is None else ("state = $3 AND ", (state.value,))
        sql = f"SELECT {_RECORD} FROM mails WHERE {which}id < $1 ORDER BY id DESC LIMIT $2"
        return [MailRecord(**row) for row in await self._driver.read(sql, before_id, limit, *values)]

    async def unsent(self) -> list[Unsent]:
        """How many mails wait, and how many were given up; a state without mails is not there."""
        sql = (
            "SELECT state, COUNT(*) AS count, MIN(created_at) AS oldest_at FROM mails "
            f"WHERE state IN ('{MailState.WAITING}', '{MailState.GIVEN_UP}') GROUP BY state ORDER BY state"
        )
        return [Unsent(**row) for row in await self._driver.read(sql)]

    async def count_waiting(self) -> int:
        """How many wait."""
        sql = f"SELECT count(*) AS count FROM mails WHERE state = '{MailState.WAITING}'"
        return int((await self._driver.read(sql))[0]["count"])

    async def retry(self, transaction: Transaction, mail_id: str, now: int) -> MailRecord | None:
        """Let it be tried at once, whether it waits or was given up; None if it was sent or its content is gone.

        Who sends it just now is not disturbed, and says what becomes of it.
        """
        sql = (
            f"UPDATE mails SET state = '{MailState.WAITING}', next_attempt_at = $2, ended_at = NULL "
            f"WHERE id = $1 AND state <> '{MailState.SENT}' AND content IS NOT NULL AND give_up_at > $2 "
            f"RETURNING {_RECORD}"
        )
        rows = await transaction.run(sql, mail_id, now)
        return MailRecord(**rows[0]) if rows else None

    async def purge(self, state: MailState, ended_before: int, limit: int) -> int:
        """Delete at most `limit` that ended in that state so long ago. Returns how many."""
        sql = (
            "DELETE FROM mails WHERE id IN "
            "(SELECT id FROM mails WHERE state = $1 AND ended_at <= $2 ORDER BY ended_at LIMIT $3) RETURNING id"
        )
        return len(await self._driver.write_one(sql, state.value, ended_before, limit))

    async def forget_contents(self, now: int, limit: int) -> int:
        """Delete the contents of at most `limit` that were given up and are of no use any more. Returns how many."""
        sql = (
            "UPDATE mails SET content = NULL WHERE id IN (SELECT id FROM mails WHERE content IS NOT NULL "
            f"AND give_up_at <= $1 AND {STATE} = '{MailState.GIVEN_UP}' ORDER BY give_up_at LIMIT $2) RETURNING id"
        )
        return len(await self._driver.write_one(sql, now, limit))
