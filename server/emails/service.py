"""What users do with their own addresses. Admins change the primary one (server/users/service.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from server.audit.model import AuditEvent, AuditNote
from server.audit.repository import AuditRepository
from server.core.clock import Clock
from server.core.errors import NotFound
from server.database.driver import Driver, Transaction
from server.emails.errors import EmailNotVerified
from server.emails.model import Email
from server.emails.repository import EmailRepository
from server.mail.notices import Notices
from server.users.model import User
from server.users.repository import UserRepository


class Emails:
    """The addresses of users. Each change is one transaction, with its audit record."""

    def __init__(
        self,
        *,
        driver: Driver,
        users: UserRepository,
        emails: EmailRepository,
        audit: AuditRepository,
        notices: Notices,
        clock: Clock,
    ) -> None:
        self._driver = driver
        self._users = users
        self._emails = emails
        self._audit = audit
        self._notices = notices
        self._clock = clock

    async def list(self, user_id: str) -> Sequence[Email]:
        """The addresses of a user, the oldest first."""
        return await self._emails.list_emails(user_id)

    async def remove(self, user_id: str, email_id: str) -> None:
        """Delete an address. Raises NotFound.

        It is free at once. After the primary one, the oldest other one that is verified is the primary one.
        """
        audit, notices, now = self._audit.writer(), self._notices.writer(), self._clock.now_ms()

        async def unit(transaction: Transaction) -> None:
            user, removed, others = await self._found(transaction, user_id, email_id)
            await self._emails.remove(transaction, removed.id)
            after = user
            if removed.primary:
                after = _with_primary(user, next((email for email in others if email.verified), None), now)
                await self._users.update(transaction, after)
                await notices.primary_changed(transaction, user, after)
            note = AuditNote(
                AuditEvent.EMAIL_REMOVED,
                now,
                user.id,
                user.username,
                before={"email": removed.email, "verified": removed.verified, "primary": user.email},
                after={"primary": after.email},
            )
            await audit.write(transaction, note)

        await self._driver.write(unit)
        notices.soon()

    async def make_primary(self, user_id: str, email_id: str) -> None:
        """Make an address the primary one. Raises NotFound, EmailNotVerified."""
        audit, notices, now = self._audit.writer(), self._notices.writer(), self._clock.now_ms()

        async def unit(transaction: Transaction) -> None:
            user, chosen, _ = await self._found(transaction, user_id, email_id)
            if not chosen.verified:
                raise EmailNotVerified
            if chosen.primary:
                return
            after = _with_primary(user, chosen, now)
            await self._users.update(transaction, after)
            await notices.primary_changed(transaction, user, after)
            before, now_primary = {"primary": user.email}, {"primary": after.email}
            event = AuditEvent.EMAIL_MADE_PRIMARY
            await audit.write(transaction, AuditNote(event, now, user.id, user.username, before, now_primary))

        await self._driver.write(unit)
        notices.soon()

    async def _found(
        self, transaction: Transaction, user_id: str, email_id: str
    ) -> tuple[User, Email, Sequence[Email]]:
        """The user, whose row is locked, the address of that id, and the user's other ones. Raises NotFound."""
        user = await self._users.lock(transaction, user_id)
        emails = [] if user is None else await self._emails.emails_of(transaction, user_id)
        found = next((email for email in emails if email.id == email_id), None)
        if user is None or found is None:
            raise NotFound("There is no such address.")
        return user, found, [email for email in emails if email is not found]


def _with_primary(user: User, email: Email | None, now: int) -> User:
    if email is None:
        return replace(user, email=None, email_verified_at=None, updated_at=now)
    return replace(user, email=email.email, email_verified_at=email.verified_at, updated_at=now)
