"""What admins do with the outbox: they look at it, and let a mail be tried again."""

from __future__ import annotations

from server.audit.model import AuditEvent, AuditNote, Value
from server.audit.repository import AuditRepository
from server.core.clock import Clock
from server.core.errors import NotFound
from server.core.ids import LAST_ID
from server.database.driver import Driver, Transaction
from server.mail.errors import MailNotRetryable
from server.mail.outbox import Outbox
from server.mail.outbox_model import MailRecord, MailState
from server.mail.repository import MailRepository


class Mails:
    """The mails of the outbox, without what is in them."""

    def __init__(
        self, *, driver: Driver, repository: MailRepository, audit: AuditRepository, outbox: Outbox, clock: Clock
    ) -> None:
        self._driver = driver
        self._repository = repository
        self._audit = audit
        self._outbox = outbox
        self._clock = clock

    async def list(self, state: MailState | None, limit: int, before_id: str | None) -> list[MailRecord]:
        """Mails of that state or of any, the newest first; behind `before_id` in that order."""
        return await self._repository.list_mails(state, limit, before_id or LAST_ID)

    async def retry(self, mail_id: str) -> None:
        """Let a mail be sent at once that waits or was given up. Raises NotFound, MailNotRetryable."""
        now = self._clock.now_ms()
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> MailRecord | None:
            mail = await self._repository.retry(transaction, mail_id, now)
            if mail is not None:
                after: dict[str, Value] = {"kind": mail.kind, "attempts": mail.attempts}
                note = AuditNote(AuditEvent.MAIL_RETRIED, now, mail.id, mail.recipient, after=after)
                await audit.write(transaction, note)
            return mail

        if await self._driver.write(unit) is not None:
            self._outbox.soon()
        elif await self._repository.get(mail_id) is None:
            raise NotFound("There is no such mail.")
        else:
            raise MailNotRetryable
