"""One of the few conversations with the mail server: it claims some mails, sends one after another, and marks each."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import structlog

from server.core.clock import Clock
from server.core.errors import StoreUnavailable
from server.core.ids import Ids
from server.core.sealing import Unreadable
from server.mail.backoff import wait_ms
from server.mail.claims import BEGIN_WITHIN_SECONDS, ClaimRepository
from server.mail.errors import MailFailed
from server.mail.mailing import Mailing
from server.mail.outage import Outage
from server.mail.outbox_model import ClaimedMail, MailResult
from server.mail.transport.model import MailSession, Outcome, OutgoingMail, Sending

# How many mails are claimed together. One statement for each would be a wait for the disk more.
BATCH = 10
_RETRY_SECONDS = 1.0
# What is left to be written when the server ends.
_LAST_WRITE_SECONDS = 1.0

_UNREADABLE = "its content can't be read: the keys of the server were replaced after it was written"
_STOPPED = "the server stopped while this was sent, so it may have arrived"

_log = structlog.get_logger("watchword.mail")


@dataclass
class Shared:
    """What all lanes of a process have in common. `owner` begins the name of each of its claims."""

    claims: ClaimRepository
    clock: Clock
    ids: Ids
    owner: str
    outage: Outage
    count: Callable[[MailResult], None]
    # A pause after each mail, so that thousands of them leave time for requests.
    pace_seconds: float
    ends: bool = False
    names: itertools.count[int] = field(default_factory=itertools.count)


class Lane:
    """A conversation. `more` is called when there are more mails than one conversation should send alone."""

    def __init__(self, shared: Shared, mailing: Callable[[], Mailing | None], more: Callable[[], None]) -> None:
        self._shared = shared
        self._mailing = mailing
        self._more = more

    async def run(self) -> None:
        """Send until nothing is due, the server can't be reached, or mails go another way. Raises StoreUnavailable."""
        shared, mailing = self._shared, self._mailing()
        if mailing is None:
            return
        async with mailing.transport.session() as session:
            # By turns the newest and the oldest: nobody waits behind thousands, and nobody waits for ever.
            for turn in itertools.count():
                if shared.ends or self._mailing() is not mailing or not await shared.claims.due(shared.clock.now_ms()):
                    return
                if not await self._batch(mailing, session, newest=turn % 2 == 0):
                    return

    async def _batch(self, mailing: Mailing, session: MailSession, *, newest: bool) -> bool:
        """Whether to go on."""
        shared = self._shared
        # While the server can't be reached, one mail is enough to ask.
        limit = 1 if shared.outage.is_on else BATCH
        name = f"{shared.owner}{next(shared.names)}"
        began = shared.clock.monotonic()
        mails = await shared.claims.claim(name, shared.clock.now_ms(), limit, newest=newest)
        if len(mails) == BATCH:
            self._more()
        left = [mail.id for mail in mails]
        reason: str | None = None
        try:
            for mail in mails:
                if shared.ends or shared.clock.monotonic() - began >= BEGIN_WITHIN_SECONDS:
                    break
                reason = await self._one(mailing, session, mail, name)
                if reason is not None:
                    return False
                left.remove(mail.id)
                await asyncio.sleep(shared.pace_seconds)
        finally:
            if left:
                await self._finally(partial(shared.claims.release, name, left, reason))
        return bool(mails)

    async def _one(self, mailing: Mailing, session: MailSession, mail: ClaimedMail, name: str) -> str | None:
        """Send a mail and mark it. Returns why the server could not be reached, if so."""
        shared = self._shared
        made = await self._made(mailing, mail, name)
        if made is None:
            return None
        try:
            sending = await session.send(made)
        except asyncio.CancelledError:
            now = shared.clock.now_ms()
            await self._finally(partial(shared.claims.try_later, name, mail.id, now, _STOPPED))
            raise
        if sending.outcome is Outcome.UNREACHABLE:
            shared.outage.failed(sending.reason)
            shared.count(MailResult.UNREACHABLE)
            return sending.reason
        shared.outage.over()
        await self._mark(mail, name, sending)
        return None

    async def _made(self, mailing: Mailing, mail: ClaimedMail, name: str) -> OutgoingMail | None:
        """The mail as it leaves; None, if it can't be made, and is marked so. Raises StoreUnavailable."""
        try:
            return mailing.outgoing(mail)
        except StoreUnavailable:
            raise
        except Unreadable:
            await self._give_up(mail, name, MailResult.FAILED, _UNREADABLE)
        except MailFailed as error:
            _log.error("a mail can't be made", mail_id=mail.id, kind=mail.kind, reason=str(error))
            await self._later(mail, name, MailResult.FAILED, f"it can't be made: {error}"[:300])
        except Exception as error:  # noqa: BLE001 - a defect with one mail must not end the sender
            # For example, a newer server has written it, and knows more kinds of mail.
            _log.exception("a mail can't be made", mail_id=mail.id, kind=mail.kind)
            await self._later(mail, name, MailResult.FAILED, f"it can't be made: {type(error).__name__}")
        return None

    async def _mark(self, mail: ClaimedMail, name: str, sending: Sending) -> None:
        shared = self._shared
        if sending.outcome is Outcome.SENT:
            await self._written(lambda: shared.claims.sent(name, mail.id, shared.clock.now_ms()))
            shared.count(MailResult.SENT)
        elif sending.outcome is Outcome.REFUSED:
            await self._give_up(mail, name, MailResult.REFUSED, sending.reason)
        else:
            await self._later(mail, name, MailResult.EXPIRED, sending.reason)

    async def _later(self, mail: ClaimedMail, name: str, last: MailResult, reason: str) -> None:
        """Another attempt, or `last` if that would be too late."""
        shared = self._shared
        jitter = int.from_bytes(shared.ids.random_bytes(2), "big") / 0xFFFF
        again_at = shared.clock.now_ms() + wait_ms(mail.attempts + 1, jitter)
        if again_at >= mail.give_up_at:
            await self._give_up(mail, name, last, reason)
            return
        await self._written(lambda: shared.claims.try_later(name, mail.id, again_at, reason))
        shared.count(MailResult.DEFERRED)

    async def _give_up(self, mail: ClaimedMail, name: str, result: MailResult, reason: str) -> None:
        claims, now, readable = self._shared.claims, self._shared.clock.now_ms(), reason is not _UNREADABLE
        await self._written(lambda: claims.give_up(name, mail.id, now, reason, readable=readable))
        self._shared.count(result)
        _log.warning("mail given up", mail_id=mail.id, kind=mail.kind, result=result.value, reason=reason)

    async def _written(self, write: Callable[[], Awaitable[bool]]) -> None:
        """Write what has become of a mail, however long the store is away: else it would be sent again.

        If somebody else has it meanwhile, or it is gone, there is nothing to write.
        """
        told = False
        while True:
            try:
                await write()
            except StoreUnavailable:
                if not told:
                    _log.warning("what became of a mail can't be written; trying again")
                told = True
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _finally(self, write: Callable[[], Awaitable[object]]) -> None:
        """Write at the end of this work, perhaps of the whole server. If it fails, the claim runs out."""
        try:
            async with asyncio.timeout(_LAST_WRITE_SECONDS):
                await write()
        except (StoreUnavailable, TimeoutError):
            _log.warning("claimed mails could not be left to others; they wait until the claim runs out")
