"""The audit log: written in the unit of the change that it tells of, and read in pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import structlog

from server.audit.chain import AuditChain
from server.audit.model import AuditFilter, AuditHead, AuditNote, AuditRecord, record_of
from server.core.errors import StoreUnavailable
from server.core.origin import Origin, current_origin
from server.core.text import storable
from server.database.driver import Driver, Row, Transaction

# The columns of AuditRecord. Two have another name in the table, since theirs are words of SQL.
_FIELDS = [field.name for field in fields(AuditRecord)]
_NAMES = {"before": "before_change", "after": "after_change"}
_RECORD = ", ".join(f'{_NAMES.get(name, name)} AS "{name}"' for name in _FIELDS)
_INSERT = (
    f"INSERT INTO audit_events ({', '.join(_NAMES.get(name, name) for name in _FIELDS)}) "
    f"VALUES ({', '.join(f'${number}' for number in range(1, len(_FIELDS) + 1))})"
)
# Locks the head until the unit ends, on all nodes, and tells what the next link needs. A trigger moves the head on.
_TAKE_HEAD = "UPDATE audit_head SET seq = seq WHERE id = 1 RETURNING seq, hash"

_log = structlog.get_logger("watchword.store")


class AuditWriter:
    """Writes down what one caller does, in the unit of the change: both are on disk, or neither is.

    audit = self._audit.writer()  # before the unit: on the thread of a unit nobody knows who acts
    …                             # in the unit, the change itself
    await audit.write(transaction, AuditNote(AuditEvent.USER_CHANGED, now, target_id=user.id))  # the last in it
    """

    def __init__(self, chain: AuditChain, origin: Origin) -> None:
        self._chain = chain
        self._origin = origin

    async def write(self, transaction: Transaction, *notes: AuditNote) -> None:
        """Inside a unit, and the last thing in it: everybody who writes waits for the head of the chain.

        Whoever takes a lock behind it could wait for somebody who waits for the head.
        """
        if not notes:
            return
        rows = await transaction.run(_TAKE_HEAD)
        if not rows:
            _log.error("the audit log has lost its head, so nothing can be changed; audit verify tells more")
            raise StoreUnavailable
        head = AuditHead(**rows[0])
        previous = head.hash
        for seq, note in enumerate(notes, head.seq + 1):
            record = self._chain.linked(previous, record_of(seq, note, self._origin))
            await transaction.run(_INSERT, *(getattr(record, name) for name in _FIELDS))
            previous = record.hash


class AuditRepository:
    """The SQL of the audit log."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        # Until the server's own keys are known, at the first start, nothing is written.
        self._chain = AuditChain(b"")

    def chain_audit(self, key: bytes) -> None:
        """From now on, link records under this key. It is among the server's keys, so it is known when they are."""
        self._chain = AuditChain(key)

    def writer(self) -> AuditWriter:
        """For the unit that this task is about to write."""
        return AuditWriter(self._chain, current_origin())

    async def record(self, note: AuditNote) -> None:
        """A unit of its own."""
        audit = self.writer()

        async def unit(transaction: Transaction) -> None:
            await audit.write(transaction, note)

        await self._driver.write(unit)

    async def head(self) -> AuditHead | None:
        """The one row."""
        rows = await self._driver.read("SELECT seq, hash FROM audit_head WHERE id = 1")
        return AuditHead(**rows[0]) if rows else None

    async def records_from(self, seq: int | None, limit: int) -> list[AuditRecord]:
        """By number."""
        values = [limit] if seq is None else [limit, seq]
        where = "" if seq is None else "WHERE seq >= $2"
        sql = f"SELECT {_RECORD} FROM audit_events {where} ORDER BY seq LIMIT $1"
        return _records(await self._driver.read(sql, *values))

    async def find(self, wanted: AuditFilter) -> list[AuditRecord]:
        """Only the conditions that were asked for, so each can use its index."""
        asked = {
            "seq <": wanted.before_seq,
            "event =": wanted.event,
            "actor_id =": wanted.actor_id,
            "actor_name =": wanted.actor_name,
            "target_id =": wanted.target_id,
            "target_name =": wanted.target_name,
        }
        values: list[Any] = [value for value in asked.values() if value is not None]
        if not all(storable(value) == value for value in values if isinstance(value, str)):
            # No record has such a text, and PostgreSQL would refuse it.
            return []
        named = [condition for condition, value in asked.items() if value is not None]
        conditions = " AND ".join(f"{condition} ${number}" for number, condition in enumerate(named, 1))
        where = f"WHERE {conditions}" if conditions else ""
        sql = f"SELECT {_RECORD} FROM audit_events {where} ORDER BY seq DESC LIMIT ${len(values) + 1}"
        return _records(await self._driver.read(sql, *values, wanted.limit))


def _records(rows: Sequence[Row]) -> list[AuditRecord]:
    return [AuditRecord(**row) for row in rows]
