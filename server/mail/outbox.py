"""The outbox: a mail is written in the transaction of the change that it tells of, and sent afterwards (sender.py)."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from server.core.clock import Clock
from server.core.ids import Ids
from server.core.language import best_language
from server.core.origin import current_origin
from server.core.sealing import Seal
from server.database.driver import Transaction
from server.mail.errors import MailNotConfigured
from server.mail.model import NewMail
from server.mail.outbox_model import TRY_FOR_MS, ClaimedMail, MailState, WrittenMail
from server.mail.repository import MailRepository
from server.mail.sealing import Sealing
from server.settings import Settings
from server.settings.mail import mailbox_parts


class MailWriter:
    """Writes mails in the transaction of the change, so both are on disk or neither is.

    mails = self._outbox.writer()   # before the transaction: it may run on another thread, which knows no languages
    …                               # in the transaction, the change itself
    await mails.put(transaction, NewMail(…))
    await audit.write(transaction, …)   # as its last step
    self._outbox.soon()             # after the transaction
    """

    def __init__(
        self, repository: MailRepository, clock: Clock, ids: Ids, *, seal: Seal | None, domain: str, language: str
    ) -> None:
        """Without a `seal` it writes nothing."""
        self._repository = repository
        self._clock = clock
        self._ids = ids
        self._seal = seal
        self._domain = domain
        self._language = language

    async def put(self, transaction: Transaction, *mails: NewMail) -> None:
        """Write mails. If the server sends none, do nothing."""
        if self._seal is not None and mails:
            now = self._clock.now_ms()
            await self._repository.insert(transaction, [self._written(mail, self._seal, now) for mail in mails])

    def _written(self, mail: NewMail, seal: Seal, now: int) -> WrittenMail:
        mail_id = self._ids.new_id(now)
        give_up_at = now + TRY_FOR_MS
        return WrittenMail(
            id=mail_id,
            kind=mail.kind.value,
            recipient=mail.recipient,
            user_id=mail.user_id,
            language=mail.language or self._language,
            message_id=f"<{mail_id}@{self._domain}>",
            content=seal.seal(orjson.dumps(dict(mail.values)), mail_id),
            state=MailState.WAITING.value,
            attempts=0,
            created_at=now,
            next_attempt_at=now,
            give_up_at=give_up_at if mail.useful_until is None else min(give_up_at, mail.useful_until),
        )


class Outbox:
    """Where mails wait to be sent."""

    def __init__(
        self,
        repository: MailRepository,
        sealing: Sealing,
        clock: Clock,
        ids: Ids,
        settings: Settings,
        *,
        written: asyncio.Event,
    ) -> None:
        """`written` wakes the sender of this process."""
        self.enabled = settings.mail.enabled
        self._repository = repository
        self._sealing = sealing
        self._clock = clock
        self._ids = ids
        self._languages = settings.pages.languages
        self._domain = mailbox_parts(settings.mail.sender).domain if self.enabled else ""
        self.written = written

    def require_enabled(self) -> None:
        """Raise MailNotConfigured if the server sends no mail."""
        if not self.enabled:
            raise MailNotConfigured

    def writer(self) -> MailWriter:
        """A writer for the next transaction of this task, in the language of its request. Raises StoreUnavailable."""
        return MailWriter(
            self._repository,
            self._clock,
            self._ids,
            seal=self._sealing.current() if self.enabled else None,
            domain=self._domain,
            language=best_language(current_origin().languages, self._languages),
        )

    def values_of(self, mail: ClaimedMail) -> dict[str, Any]:
        """What its templates are filled with. Raises Unreadable, StoreUnavailable."""
        values: dict[str, Any] = orjson.loads(self._sealing.current().unseal(mail.content, mail.id))
        return values

    def soon(self) -> None:
        """A mail is on disk: the sender of this process looks now. Those of others look every few seconds."""
        self.written.set()
