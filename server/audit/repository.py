"""The SQL of the audit log: a record is written in the transaction of its change; reading is in pages."""

from __future__ import annotations

import structlog

from server.audit.chain import AuditChain
from server.audit.model import AuditHead, AuditNote, AuditRecord, record_of
from server.audit.rows import COLUMNS, FIELDS, RECORD, records_of
from server.audit.search import AuditSearch
from server.audit.times import AuditTimes
from server.core.errors import StoreUnavailable
from server.core.origin import Origin, current_origin
from server.database.driver import Driver, Transaction
from server.database.inserting import insert_into

_INSERT = insert_into("audit_events", COLUMNS)
# Locks the head on all nodes until the transaction ends, and returns it. A trigger updates it after each INSERT.
_TAKE_HEAD = "UPDATE audit_head SET seq = seq WHERE id = 1 RETURNING seq, hash"

_log = structlog.get_logger("watchword.store")


class AuditWriter:
    """Writes audit records in the transaction of the change, so both are on disk or neither is.

    audit = self._audit.writer()  # before the transaction: it may run on another thread, which does not know the actor
    …                             # in the transaction, the change itself
    await audit.write(transaction, AuditNote(AuditEvent.USER_CHANGED, now, target_id=user.id))  # as its last step
    """

    def __init__(self, chain: AuditChain, origin: Origin) -> None:
        self._chain = chain
        self._origin = origin

    async def write(self, transaction: Transaction, *notes: AuditNote) -> None:
        """Write records as the last step of a transaction. Raises StoreUnavailable if the head is missing.

        It locks the head of the chain, and every other writer waits for this lock. A transaction that takes another
        lock after it could cause a deadlock.
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
            await transaction.run(_INSERT, *(getattr(record, name) for name in FIELDS))
            previous = record.hash


class AuditRepository:
    """Writes and reads audit records."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        times = AuditTimes(driver)
        search = AuditSearch(driver, times)
        self.find, self.first_since = search.find, search.first_since
        self.sign_ins_of, self.count_sign_ins = search.sign_ins_of, search.count_sign_ins
        # The full parts of the log, whose times are not noted yet (times.py).
        self.note_times = times.note
        # Nothing is written before `chain_audit` sets the real key.
        self._chain = AuditChain(b"")

    def chain_audit(self, key: bytes) -> None:
        """Set the HMAC key that links records. It is known only after the server's keys were read."""
        self._chain = AuditChain(key)

    def writer(self) -> AuditWriter:
        """A writer for the next transaction of this task. It keeps who acts in this task."""
        return AuditWriter(self._chain, current_origin())

    async def record(self, note: AuditNote) -> None:
        """Write one record in its own transaction."""
        audit = self.writer()

        async def unit(transaction: Transaction) -> None:
            await audit.write(transaction, note)

        await self._driver.write(unit)

    async def head(self) -> AuditHead | None:
        """The end of the chain; None if its row is missing."""
        rows = await self._driver.read("SELECT seq, hash FROM audit_head WHERE id = 1")
        return AuditHead(**rows[0]) if rows else None

    async def records_from(self, seq: int | None, limit: int) -> list[AuditRecord]:
        """Records from this `seq` on (None: from the first), in their order."""
        values = [limit] if seq is None else [limit, seq]
        where = "" if seq is None else "WHERE seq >= $2"
        sql = f"SELECT {RECORD} FROM audit_events {where} ORDER BY seq LIMIT $1"
        return records_of(await self._driver.read(sql, *values))
