"""The audit log: written in the unit of the change that it tells of, and read in pages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import structlog

from server.audit.chain import AuditChain
from server.audit.model import AuditFilter, AuditHead, AuditNote, AuditRecord, Value
from server.core.errors import StoreUnavailable
from server.core.origin import Origin, current_origin
from server.database.driver import Driver, Transaction

_COLUMNS = (
    "seq, at, event, actor_id, actor_name, target_id, target_name, via, ip, request_id, before_change, after_change, "
    "hash"
)
# Locks the head until the unit ends, on all nodes, and tells what the next link needs. A trigger moves the head on.
_TAKE_HEAD = "UPDATE audit_head SET seq = seq WHERE id = 1 RETURNING seq, hash"
_INSERT = f"INSERT INTO audit_events ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"

_log = structlog.get_logger("watchword.store")


class AuditWriter:
    """Writes what one caller does. Made before the unit: on the thread of a unit nobody knows who acts."""

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
        last, previous = rows[0]
        for seq, note in enumerate(notes, last + 1):
            values = self._values(seq, note)
            previous = self._chain.link(previous, values)
            await transaction.run(_INSERT, *values, previous)

    def _values(self, seq: int, note: AuditNote) -> tuple[str | int | None, ...]:
        origin = self._origin
        actor_id, actor_name = origin.actor_id, origin.actor_name
        if note.by_target and actor_id is None:
            actor_id, actor_name = note.target_id, note.target_name
        return (
            seq,
            note.at,
            note.event.value,
            _text(actor_id),
            _text(actor_name),
            _text(note.target_id),
            _text(note.target_name),
            origin.via,
            _text(origin.ip),
            _text(origin.request_id),
            _json(note.before),
            _json(note.after),
        )


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

    async def audit_head(self) -> AuditHead | None:
        """The one row."""
        rows = await self._driver.read("SELECT seq, hash FROM audit_head WHERE id = 1")
        return AuditHead(*rows[0]) if rows else None

    async def audit_from(self, seq: int | None, limit: int) -> list[AuditRecord]:
        """By number."""
        values = [limit] if seq is None else [limit, seq]
        where = "" if seq is None else "WHERE seq >= $2"
        sql = f"SELECT {_COLUMNS} FROM audit_events {where} ORDER BY seq LIMIT $1"
        return [AuditRecord(*row) for row in await self._driver.read(sql, *values)]

    async def list_audit(self, wanted: AuditFilter) -> list[AuditRecord]:
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
        if not all(_text(value) == value for value in values if isinstance(value, str)):
            return []
        named = [condition for condition, value in asked.items() if value is not None]
        conditions = " AND ".join(f"{condition} ${number}" for number, condition in enumerate(named, 1))
        where = f"WHERE {conditions}" if conditions else ""
        sql = f"SELECT {_COLUMNS} FROM audit_events {where} ORDER BY seq DESC LIMIT ${len(values) + 1}"
        return [AuditRecord(*row) for row in await self._driver.read(sql, *values, wanted.limit)]


def _text(text: str | None) -> str | None:
    """PostgreSQL takes no NUL, and neither store a lone surrogate."""
    return None if text is None else text.encode("utf-8", "replace").decode("utf-8").replace("\0", "?")


def _json(value: Mapping[str, Value] | None) -> str | None:
    """In ASCII, so it is one line whatever it holds."""
    return None if value is None else json.dumps(value, separators=(",", ":"), default=str)
