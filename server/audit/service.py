"""Reads the audit log, and verifies that it is complete (docs/audit.md)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from server.audit.chain import START, AuditChain
from server.audit.model import AuditFilter, AuditHead, AuditRecord, SignIn, sign_in_of
from server.audit.repository import AuditRepository
from server.core.ids import id_in
from server.users.repository import UserRepository

# The number of records that are read and checked at a time.
PAGE = 1000
_ABOVE_ALL = 2**63

# Called with the number of records that are checked so far.
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """The first record that was altered, inserted or removed, and what is wrong with it."""

    seq: int
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of `verify`. `head` is the hash of the last good record; operators keep it to compare it later."""

    count: int
    head: str
    fault: Fault | None


def _silent(_: int) -> None:
    pass


class Audit:
    """Lists and verifies the records of a store."""

    def __init__(self, audit: AuditRepository, users: UserRepository, chain: AuditChain) -> None:
        self._audit = audit
        self._users = users
        self._chain = chain

    async def page(
        self,
        *,
        limit: int,
        before_seq: int | None = None,
        from_seq: int | None = None,
        event: str | None = None,
        actor: str | None = None,
        target: str | None = None,
        user: str | None = None,
        from_at: int | None = None,
        to_at: int | None = None,
    ) -> list[AuditRecord]:
        """The newest records first. `actor`, `target` and `user` are ids or names; names of existing users in any case.

        The name of a user finds the records of this user under whatever name, and all that have this name. `user` is
        actor or target. `from_at` belongs to the records, `to_at` does not (epoch ms).
        """
        actor_id, actor_name = await self._id_and_name(actor)
        target_id, target_name = await self._id_and_name(target)
        user_id, user_name = await self._id_and_name(user)
        wanted = AuditFilter(
            limit=limit,
            before_seq=before_seq,
            from_seq=from_seq,
            event=event,
            actor_id=actor_id,
            actor_name=actor_name,
            target_id=target_id,
            target_name=target_name,
            user_id=user_id,
            user_name=user_name,
            from_at=from_at,
            to_at=to_at,
        )
        return await self._audit.find(wanted)

    async def sign_ins(self, user_id: str, limit: int, before_seq: int | None) -> list[SignIn]:
        """The logins of a user and those that failed, the newest first; before that record."""
        return [sign_in_of(record) for record in await self._audit.sign_ins_of(user_id, limit, before_seq)]

    async def _id_and_name(self, text: str | None) -> tuple[str | None, str | None]:
        if text is None:
            return None, None
        as_id = id_in(text)
        if as_id is not None:
            return as_id, None
        found = await self._users.find_credentials(text)
        return (None, text) if found is None else (found.user.id, found.user.username)

    async def first_since(self, at: int) -> int:
        """The number of the first record that is not older than that time (epoch ms); beyond the last if there is none.

        What comes behind it belongs to it too, even if the clock went back there: only so is it a piece of the chain.
        """
        head = await self._audit.head()
        return await self._audit.first_since(at, 0 if head is None else head.seq)

    async def head(self) -> AuditHead | None:
        """The end of the chain; None if the store has lost it."""
        return await self._audit.head()

    async def pages(self, from_seq: int | None = None) -> AsyncIterator[list[AuditRecord]]:
        """All records in pages, the oldest first; with `from_seq` only those from this number on."""
        page = await self._audit.records_from(from_seq, PAGE)
        while page:
            yield page
            last = page[-1]
            page = await self._behind(last)
            if page and page[-1].seq <= last.seq:
                # `seq` does not grow: somebody who removed the primary key could make a loop without end.
                return

    async def verify(self, kept_head: str | None = None, progress: Progress = _silent) -> Verdict:
        """Check the chain from its start to its end. It has to contain `kept_head`, the hash of an earlier end."""
        count, previous = 0, START
        last: AuditRecord | None = None
        passed = not kept_head
        while True:
            page = await self._behind(last)
            if not page:
                # Read after the records, so the head is not older than they are.
                head = await self._audit.head()
                if head is not None and head.seq > count and await self._behind(last):
                    # Records were written in the meantime.
                    continue
                fault = _fault_of_end(head, AuditHead(count, previous))
                if fault is None and not passed:
                    fault = Fault(count + 1, "cut off: the chain ends before the head that was kept")
                return Verdict(count, previous, fault)
            for record in page:
                if record.seq != count + 1 or not self._chain.holds(previous, record):
                    return Verdict(count, previous, _fault(record, count, await self._audit.head()))
                count, previous, last = record.seq, record.hash, record
                passed = passed or previous == kept_head
            progress(count)

    async def _behind(self, last: AuditRecord | None) -> list[AuditRecord]:
        """The page after `last`, or the first page, which begins with the lowest `seq`, even a negative one.

        The last record is read again: another record with the same `seq` could hide between two pages.
        """
        if last is None:
            return await self._audit.records_from(None, PAGE)
        page = await self._audit.records_from(last.seq, PAGE + 1)
        if last in page:
            page.remove(last)
        return page


def _fault(record: AuditRecord, count: int, head: AuditHead | None) -> Fault:
    """What is wrong with a record that does not follow the `count` good records before it."""
    end = _ABOVE_ALL if head is None else head.seq
    if record.seq <= count or record.seq > end == count:
        return Fault(record.seq, "inserted: the log has no such record")
    if record.seq > count + 1:
        return Fault(count + 1, "missing: the next record is not there")
    return Fault(record.seq, "altered: it is not as it was written, or not where")


def _fault_of_end(head: AuditHead | None, reached: AuditHead) -> Fault | None:
    if head is None:
        return Fault(reached.seq + 1, "missing: the end of the chain is not noted any more")
    if head.seq > reached.seq:
        return Fault(reached.seq + 1, "cut off: the last records are not there")
    if head != reached:
        return Fault(head.seq, "altered: the end of the chain is noted otherwise")
    return None
