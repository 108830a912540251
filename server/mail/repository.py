"""The SQL of the outbox, once for both databases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, fields

from server.database.driver import Driver, Transaction
from server.database.inserting import insert_into
from server.mail.outbox_model import WrittenMail

_COLUMNS = [field.name for field in fields(WrittenMail)]
_INSERT = insert_into("mails", _COLUMNS)


class MailRepository:
    """Writes and reads mails. What takes a Transaction is a part of the caller's unit."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def insert(self, transaction: Transaction, mails: Sequence[WrittenMail]) -> None:
        """Add new ones."""
        for mail in mails:
            await transaction.run(_INSERT, *astuple(mail))
