"""Answers requests for mails in the background: finds out whose the name is, and writes the mail, or does nothing.

It runs in rounds of a second and never right after a request, so that no time of an answer tells what was done.
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from server.audit.model import AuditEvent, AuditNote
from server.audit.repository import AuditRepository
from server.authentication.throttling import Throttle
from server.challenges.model import NewChallenge, Purpose
from server.challenges.service import Challenges
from server.core.clock import Clock
from server.core.errors import StoreUnavailable
from server.core.sealing import Unreadable
from server.database.driver import Driver, Transaction
from server.emails.address import address_key, address_keys
from server.emails.repository import EmailRepository
from server.mail.model import MailKind, NewMail
from server.mail.outbox import Outbox
from server.mail.sealing import Sealing
from server.recovery.model import WAIT_MS, MailRequest
from server.recovery.repository import MailRequestRepository
from server.recovery.requests import sealed_in
from server.users.model import Credentials, User
from server.users.repository import UserRepository
from server.users.unconfirmed import UnconfirmedRepository

# In a round; a crowd of requests must not hold up other writes.
_ROUND = 100

_log = structlog.get_logger("watchword.mail")


class Resolver:
    """Takes each request once, on whatever node, in one transaction with its challenge and mail."""

    def __init__(
        self,
        *,
        driver: Driver,
        repository: MailRequestRepository,
        users: UserRepository,
        emails: EmailRepository,
        unconfirmed: UnconfirmedRepository,
        audit: AuditRepository,
        challenges: Challenges,
        outbox: Outbox,
        sealing: Sealing,
        throttle: Throttle,
        clock: Clock,
    ) -> None:
        self._driver = driver
        self._repository = repository
        self._users = users
        self._emails = emails
        self._unconfirmed = unconfirmed
        self._audit = audit
        self._challenges = challenges
        self._outbox = outbox
        self._sealing = sealing
        self._throttle = throttle
        self._clock = clock

    async def resolve(self) -> int:
        """Answer some of the requests that wait, the oldest first; how many. Raises StoreUnavailable."""
        waiting = await self._repository.oldest(_ROUND)
        oldest_at = self._clock.now_ms() - WAIT_MS
        if waiting and waiting[0].created_at < oldest_at:
            await self._repository.drop_older(oldest_at)
        for request in waiting:
            try:
                await self._answer(request)
            except StoreUnavailable:
                raise
            except Exception:  # noqa: BLE001 - a defect costs this mail, and not those behind it
                _log.exception("a request for a mail could not be answered, and is dropped")
                await self._repository.drop(request.id)
        return len(waiting)

    async def _answer(self, request: MailRequest) -> None:
        try:
            sealed = self._sealing.current()
            identifier = sealed.unseal(request.identifier, sealed_in(request.id)).decode("utf-8")
        except Unreadable:
            # The keys were replaced meanwhile, which ends all that was mailed before, too.
            await self._repository.drop(request.id)
            return
        credentials = await self._users.find_credentials(identifier)
        mails, audit = self._outbox.writer(), self._audit.writer()
        # Whose it is and where it is mailed to is known in the transaction, which may run in another thread.
        blank = self._challenges.make(
            Purpose(request.purpose),
            user_id="",
            email="",
            browser_digest=request.browser_digest,
            challenge_id=request.challenge_id,
        )

        async def unit(transaction: Transaction) -> bool:
            if not await self._repository.take(transaction, request.id):
                return False
            user = None if credentials is None else await self._users.lock(transaction, credentials.user.id)
            recipient = None if user is None else await self._recipient(transaction, user, identifier)
            if credentials is None or user is None or recipient is None:
                return False
            if not await self._throttle.recovery_allowed(transaction, address_keys(recipient).email, user.id):
                return False
            new = _addressed(blank, credentials, recipient)
            await self._challenges.insert(transaction, new)
            await mails.put(transaction, _mail(new, user, request.language))
            if new.challenge.purpose is Purpose.RESET_PASSWORD:
                await audit.write(transaction, _note(new, user))
            return True

        if await self._driver.write(unit):
            self._outbox.soon()

    async def _recipient(self, transaction: Transaction, user: User, identifier: str) -> str | None:
        """The verified address that was typed, or else the primary one if it is verified; None: no mail is sent."""
        if user.disabled or await self._unconfirmed.waits(transaction, user.id):
            return None
        typed = address_key(identifier)
        verified = [email for email in await self._emails.emails_of(transaction, user.id) if email.verified]
        chosen = [email for email in verified if typed is not None and address_key(email.email) == typed]
        chosen += [email for email in verified if email.primary]
        return chosen[0].email if chosen else None


def _addressed(blank: NewChallenge, credentials: Credentials, recipient: str) -> NewChallenge:
    challenge = replace(
        blank.challenge,
        user_id=credentials.user.id,
        email=recipient,
        password_changed_at=credentials.password_changed_at,
    )
    return replace(blank, challenge=challenge)


def _mail(new: NewChallenge, user: User, language: str) -> NewMail:
    challenge = new.challenge
    values: dict[str, str | int] = {"code": new.code, "minutes": challenge.purpose.life_ms // 60_000}
    if challenge.purpose is Purpose.RESET_PASSWORD:
        kind = MailKind.RESET_PASSWORD
        values |= {"path": f"/reset-password#{new.token}", "username": user.username}
    else:
        kind = MailKind.SIGN_IN_CODE
        values |= {"path": f"/sign-in#{new.token}"}
    return NewMail(kind, challenge.email, values, user.id, challenge.expires_at, language)


def _note(new: NewChallenge, user: User) -> AuditNote:
    after = {"mailed_to": new.challenge.email}
    return AuditNote(AuditEvent.PASSWORD_RESET_REQUESTED, new.challenge.created_at, user.id, user.username, after=after)
