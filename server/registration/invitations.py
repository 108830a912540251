"""The life of invitations: admins make and withdraw them, and service.py uses them."""

from __future__ import annotations

from server.audit.repository import AuditRepository
from server.authentication.throttling import Throttle
from server.core.clock import Clock
from server.core.errors import InvalidRequest, NotFound
from server.core.ids import LAST_ID, Ids
from server.database.driver import Driver, Transaction
from server.emails.address import address_keys
from server.emails.errors import EmailTaken
from server.emails.repository import EmailRepository
from server.mail.model import MailKind, NewMail
from server.mail.outbox import Outbox
from server.registration.audit_notes import invitation_created, invitation_withdrawn
from server.registration.errors import InvalidInvitation
from server.registration.invitation_token import InvitationTokens
from server.registration.model import Invitation, NewInvitation
from server.registration.repository import InvitationRepository
from server.registration.rules import RegistrationRules
from server.users.model import User
from server.users.repository import UserRepository

# The id of no user.
_NOBODY = ""


class Invitations:
    """Makes, lists, withdraws and checks invitations."""

    def __init__(
        self,
        *,
        driver: Driver,
        repository: InvitationRepository,
        users: UserRepository,
        emails: EmailRepository,
        audit: AuditRepository,
        tokens: InvitationTokens,
        outbox: Outbox,
        throttle: Throttle,
        rules: RegistrationRules,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._driver = driver
        self._repository = repository
        self._users = users
        self._emails = emails
        self._audit = audit
        self._tokens = tokens
        self._outbox = outbox
        self._throttle = throttle
        self._rules = rules
        self._clock = clock
        self._ids = ids

    async def invite(
        self, *, role: str | None, email: str | None, life_seconds: int, uses: int, created_by: str | None
    ) -> NewInvitation:
        """A new invitation and its token, which nobody gets to see again. Without a role it is that of the settings.

        `email` is in the form of server.emails.address.address_of; if mail is sent, the link goes there. Raises
        RegistrationClosed, EmailTaken, InvalidRequest.
        """
        self._rules.require_not_closed()
        role = self._rules.role if role is None else role
        self._rules.check_role(role)
        self._rules.check_address(email, required=False)
        if email is not None and uses != 1:
            raise InvalidRequest([("uses", "An invitation for one address can be used once.")])
        now = self._clock.now_ms()
        made = Invitation(
            id=self._ids.new_id(now),
            role=role,
            email=email,
            uses=uses,
            used=0,
            created_by=created_by,
            created_at=now,
            expires_at=now + life_seconds * 1000,
        )
        token = self._tokens.issue(made.id)
        mails, audit = self._outbox.writer(), self._audit.writer()

        async def unit(transaction: Transaction) -> None:
            # Whoever makes it should know at once. The use decides, and holds the lock that this would need for that.
            if email is not None and await self._emails.taken(transaction, address_keys(email), _NOBODY):
                raise EmailTaken
            await self._repository.insert(transaction, made)
            if made.email is not None:
                await mails.put(transaction, _mail(made.email, made, token))
            await audit.write(transaction, invitation_created(made))

        await self._driver.write(unit)
        if made.email is not None:
            self._outbox.soon()
        return NewInvitation(made, token, mailed=made.email is not None and self._outbox.enabled)

    async def list(self, limit: int, before_id: str | None) -> list[Invitation]:
        """Invitations, the newest first; behind `before_id` in that order."""
        return await self._repository.list_invitations(limit, before_id or LAST_ID)

    async def withdraw(self, invitation_id: str) -> None:
        """Nobody can use it from now on. Those that were withdrawn before stay as they are. Raises NotFound."""
        now = self._clock.now_ms()
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> Invitation | None:
            withdrawn = await self._repository.withdraw(transaction, invitation_id, now)
            if withdrawn is not None:
                await audit.write(transaction, invitation_withdrawn(withdrawn, now))
            return withdrawn

        if await self._driver.write(unit) is None and await self._repository.get(invitation_id) is None:
            raise NotFound("There is no such invitation.")

    async def check(self, token: str, address: str | None) -> Invitation:
        """The invitation of a token that somebody could register with now.

        Raises RegistrationClosed, InvalidInvitation, TooManyAttempts.
        """
        self._rules.require_not_closed()
        async with self._throttle.registration_attempt(address, invited=self.is_genuine(token)):
            return await self.good(token)

    def is_genuine(self, token: str | None) -> bool:
        """Whether it was issued here, whatever has become of the invitation. The store is not asked."""
        return token is not None and self._tokens.read(token) is not None

    async def good(self, token: str) -> Invitation:
        """The same for an attempt that was taken. Raises InvalidInvitation."""
        invitation_id = self._tokens.read(token)
        found = None if invitation_id is None else await self._repository.get(invitation_id)
        if found is None or await self.state(found) != "open":
            raise InvalidInvitation
        return found

    async def state(self, invitation: Invitation) -> str:
        """Whether somebody can register with it now: `open`, or why not, in words."""
        state = invitation.state(self._clock.now_ms())
        if state != "open":
            return state
        if not self._rules.has_role(invitation.role):
            return "there is no such role"
        return state if await self._maker_may(invitation) else "who made it may not invite"

    async def use(self, transaction: Transaction, invitation_id: str, now: int) -> Invitation:
        """Count one more use, if it may be used at this moment. Raises InvalidInvitation.

        The rows of the invitation and of who made it stay as they are until the transaction ends: nobody registers by
        an invitation after the answer that its maker is no admin any more.
        """
        used = await self._repository.use(transaction, invitation_id, now)
        if used is None or not self._rules.has_role(used.role):
            raise InvalidInvitation
        if used.created_by is not None and not self._may_invite(await self._users.lock(transaction, used.created_by)):
            raise InvalidInvitation
        return used

    async def _maker_may(self, invitation: Invitation) -> bool:
        if invitation.created_by is None:
            return True
        return self._may_invite(await self._users.get_user(invitation.created_by))

    def _may_invite(self, user: User | None) -> bool:
        return user is not None and not user.disabled and self._rules.may_invite(user.role)


def _mail(recipient: str, made: Invitation, token: str) -> NewMail:
    """An admin has chosen to write to that address, so no budget is asked."""
    values: dict[str, str | int] = {"path": f"/invitation#{token}", "expires_at": made.expires_at}
    return NewMail(MailKind.INVITATION, recipient, values, useful_until=made.expires_at)
