"""Confirming addresses: a link and a code are mailed to an address, and who has the mail verifies it.

Nobody is told whether an address is somebody else's already, but for its owner, by a mail. So for such an address the
same is done: there is a challenge too, and nobody gets its secrets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from server.audit.model import AuditEvent, AuditNote
from server.audit.repository import AuditRepository
from server.authentication.errors import TooManyAttempts
from server.authentication.throttling import Throttle
from server.challenges.errors import CodeInvalid, LinkInvalid
from server.challenges.model import Challenge, NewChallenge, Purpose
from server.challenges.service import Challenges
from server.core.clock import Clock
from server.core.errors import NotFound
from server.database.driver import Driver, Transaction
from server.emails.address import address_keys
from server.emails.audit_notes import email_added, email_confirmed
from server.emails.errors import ConfirmationInvalid, EmailAlreadyVerified, EmailTaken, TooManyEmails
from server.emails.model import MOST_EMAILS, same_as
from server.emails.repository import EmailRepository
from server.mail.model import MailKind, NewMail
from server.mail.notices import Notices
from server.mail.outbox import MailWriter, Outbox
from server.users.model import User
from server.users.repository import UserRepository

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Asking:
    """What is needed to ask for a confirmation in the next transaction of this task."""

    challenge: NewChallenge
    mails: MailWriter


@dataclass(frozen=True, slots=True)
class Proof:
    """What somebody has of the mail: the token of the link, with the code of the mail or without, or address and code.

    `browser` is the value of the browser cookie, `address` that of the client.
    """

    token: str | None
    code: str | None
    email: str | None
    browser: str | None
    address: str | None


class Confirmations:
    """Mails to addresses that are to be confirmed, and their confirmation. Each change is one transaction."""

    def __init__(
        self,
        *,
        driver: Driver,
        users: UserRepository,
        emails: EmailRepository,
        audit: AuditRepository,
        challenges: Challenges,
        throttle: Throttle,
        outbox: Outbox,
        notices: Notices,
        clock: Clock,
    ) -> None:
        self._driver = driver
        self._users = users
        self._emails = emails
        self._audit = audit
        self._challenges = challenges
        self._throttle = throttle
        self._outbox = outbox
        self._notices = notices
        self._clock = clock

    @property
    def enabled(self) -> bool:
        """Whether mail is sent, so that addresses can be confirmed."""
        return self._outbox.enabled

    def asking(self, user_id: str, email: str, browser: str | None) -> Asking:
        """For `ask`, before its transaction. `browser` is the browser cookie of who gives the address."""
        challenge = self._challenges.make(Purpose.CONFIRM_EMAIL, user_id=user_id, email=email, browser=browser)
        return Asking(challenge, self._outbox.writer())

    async def ask(
        self,
        transaction: Transaction,
        asking: Asking,
        address: str | None,
        *,
        invited: bool = False,
        signed_in: bool = False,
    ) -> None:
        """Mail link and code to the address, or to its owner that somebody has given it.

        The client at `address` pays for it, and for who is not `invited` the budget of all too, and the account if its
        user is `signed_in`: raises TooManyAttempts. If the recipient or the account has got too many
        mails lately, there is none. The row of the user must be locked.

        It is not sent at once, but when the sender looks the next time (server/mail/sender.py): else the time of the
        next answer would tell whether there is one.
        """
        new, challenge = asking.challenge, asking.challenge.challenge
        await self._throttle.spend_mail_request(transaction, address, invited=invited)
        if signed_in:
            await self._throttle.spend_mail_of(transaction, challenge.user_id)
        keys = address_keys(challenge.email)
        holder = await self._emails.holder(transaction, keys, challenge.user_id)
        account = None if signed_in else challenge.user_id
        allowed = await self._throttle.confirmation_allowed(transaction, keys.email, account)
        if await self._challenges.insert(transaction, new, mailed=allowed) and allowed:
            mail = _confirm_mail(new) if holder is None else _taken_mail(challenge, holder.email or challenge.email)
            await asking.mails.put(transaction, mail)

    async def add(self, user_id: str, email: str, browser: str | None, address: str | None) -> None:
        """Give the user another address, and mail to it. One that is the user's own already is mailed to again.

        If it is verified nothing is done. Raises MailNotConfigured, NotFound, TooManyEmails, TooManyAttempts.
        """
        self._outbox.require_enabled()
        await self._ask_user(user_id, email, browser, address, may_add=True)

    async def send(self, user_id: str, email_id: str, browser: str | None, address: str | None) -> None:
        """Mail again to an address of the user.

        Raises MailNotConfigured, NotFound, EmailAlreadyVerified, TooManyAttempts.
        """
        self._outbox.require_enabled()
        found = next((email for email in await self._emails.list_emails(user_id) if email.id == email_id), None)
        if found is None:
            raise NotFound("There is no such address.")
        if found.verified:
            raise EmailAlreadyVerified
        await self._ask_user(user_id, found.email, browser, address, may_add=False)

    async def _ask_user(
        self, user_id: str, email: str, browser: str | None, address: str | None, *, may_add: bool
    ) -> None:
        asking, audit, now = self.asking(user_id, email, browser), self._audit.writer(), self._clock.now_ms()

        async def unit(transaction: Transaction) -> None:
            user = await self._users.lock(transaction, user_id)
            emails = [] if user is None else await self._emails.emails_of(transaction, user_id)
            known = same_as(email, emails)
            if user is None or (known is None and not may_add):
                raise NotFound("There is no such address.")
            if known is not None and known.verified:
                return
            if known is None and len(emails) >= MOST_EMAILS:
                raise TooManyEmails
            if known is None:
                await self._emails.put(transaction, user_id, email, None, now)
            await self.ask(transaction, asking, address, signed_in=True)
            if known is None:
                await audit.write(transaction, email_added(user, email, now))

        await self._driver.write(unit)

    async def remind(self, user: User, browser: str | None, address: str | None) -> None:
        """Who has just given the right password has to confirm the address first: mail again, and record the attempt.

        If there were too many mails, it is recorded alone.
        """
        note = AuditNote(
            AuditEvent.LOGIN_FAILED, self._clock.now_ms(), user.id, user.username, after={"reason": "not confirmed"}
        )
        asking = self.asking(user.id, user.email, browser) if self.enabled and user.email is not None else None
        audit = self._audit.writer()

        async def unit(transaction: Transaction, asking: Asking | None) -> None:
            if asking is not None and await self._users.lock(transaction, user.id) is not None:
                await self.ask(transaction, asking, address)
            await audit.write(transaction, note)

        try:
            await self._driver.write(partial(unit, asking=asking))
        except TooManyAttempts:
            await self._driver.write(partial(unit, asking=None))

    async def confirm(self, proof: Proof) -> None:
        """Verify an address, by what was mailed to it. It becomes the primary one if no verified one is.

        Raises ConfirmationInvalid, CodeInvalid, CodeRequired, EmailTaken, TooManyAttempts.
        """
        challenge = await self._look(proof)
        notices, audit, now = self._notices.writer(), self._audit.writer(), self._clock.now_ms()

        async def unit(transaction: Transaction) -> None:
            user = await self._users.lock(transaction, challenge.user_id)
            await self._emails.lock(transaction)
            emails = [] if user is None else await self._emails.emails_of(transaction, challenge.user_id)
            found = same_as(challenge.email, emails)
            if user is None or found is None or not await self._challenges.use(transaction, challenge):
                raise ConfirmationInvalid if proof.token is not None else CodeInvalid
            if found.verified:
                return
            if not await self._emails.put(transaction, user.id, found.email, now, now):
                raise EmailTaken
            after = user
            if user.email_verified_at is None:
                after = replace(user, email=found.email, email_verified_at=now, updated_at=now)
                await self._users.update(transaction, after)
            await notices.email_added(transaction, user, found.email)
            await audit.write(transaction, email_confirmed(user, after, found.email, now))

        await self._driver.write(unit)
        notices.soon()

    async def _look(self, proof: Proof) -> Challenge:
        look = partial(
            self._challenges.look, Purpose.CONFIRM_EMAIL, address=proof.address, code=proof.code, browser=proof.browser
        )
        if proof.token is None:
            return await look(email_key=address_keys(proof.email or "").email)
        try:
            return await look(token=proof.token)
        except LinkInvalid:
            raise ConfirmationInvalid from None


def _confirm_mail(new: NewChallenge) -> NewMail:
    challenge = new.challenge
    values: dict[str, str | int] = {
        "path": f"/confirm-email#{new.token}",
        "code": new.code,
        "hours": (challenge.expires_at - challenge.created_at) // HOUR_MS,
    }
    return NewMail(MailKind.CONFIRM_EMAIL, challenge.email, values, challenge.user_id, challenge.expires_at)


def _taken_mail(challenge: Challenge, owner: str) -> NewMail:
    """It goes to somebody who has not asked, so it holds nothing that a stranger has chosen."""
    return NewMail(MailKind.ADDRESS_TAKEN, owner, {"path": "/sign-in"}, challenge.user_id, challenge.expires_at)
