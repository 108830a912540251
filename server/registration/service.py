"""Registration: people who make an account of their own, by an invitation or where that is open to all.

If mail is sent, whoever gives an address has to confirm it before the first sign-in, unless an invitation was for it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from server.audit.repository import AuditRepository
from server.authentication.throttling import Throttle
from server.core.clock import Clock
from server.core.errors import InvalidRequest, StoreUnavailable
from server.database.driver import Driver, Transaction
from server.emails.address import address_key, throttle_name
from server.emails.confirmations import Asking, Confirmations
from server.passwords.pool import HashPool
from server.registration.audit_notes import invitation_used
from server.registration.errors import InvalidInvitation
from server.registration.invitations import Invitations
from server.registration.model import Invitation
from server.registration.rules import RegistrationRules
from server.registration.unconfirmed import CONFIRM_MS
from server.users.audit_notes import user_created
from server.users.model import Credentials, User
from server.users.names import username_key
from server.users.service import Users
from server.users.unconfirmed import UnconfirmedRepository


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What somebody gives to register. `email` is in the form of server.emails.address.address_of."""

    username: str
    name: str
    password: str
    email: str | None
    invitation_token: str | None


class Registration:
    """Makes the accounts of people who register."""

    def __init__(
        self,
        *,
        driver: Driver,
        audit: AuditRepository,
        accounts: Users,
        unconfirmed: UnconfirmedRepository,
        confirmations: Confirmations,
        invitations: Invitations,
        hashes: HashPool,
        throttle: Throttle,
        rules: RegistrationRules,
        clock: Clock,
    ) -> None:
        """`hashes` is the pool of strangers: whoever registers must not hold up those who are known."""
        self._driver = driver
        self._audit = audit
        self._accounts = accounts
        self._unconfirmed = unconfirmed
        self._confirmations = confirmations
        self._invitations = invitations
        self._hashes = hashes
        self._throttle = throttle
        self._rules = rules
        self._clock = clock

    async def sign_up(self, wanted: NewAccount, address: str | None, browser: str | None = None) -> User:
        """Make an account. An attempt that fails costs as a wrong password does, and so does one without an invitation.

        The address of an invitation is verified, since an admin has vouched for it. Any other one has to be confirmed
        if mail is sent, best in the browser of that cookie, and else stays unverified; nothing tells whether it is
        somebody else's. Raises RegistrationClosed, InvalidInvitation, UsernameTaken, EmailTaken (of an invitation's
        address), InvalidRequest, TooManyAttempts, Overloaded.
        """
        token = wanted.invitation_token
        if token is None:
            self._rules.require_open()
        else:
            self._rules.require_not_closed()
        # What would be refused after a transaction is refused before it.
        self._hashes.require_room()
        genuine = self._invitations.is_genuine(token)
        async with self._throttle.registration_attempt(address, invited=genuine) as attempt:
            invitation = None if token is None else await self._invitations.good(token)
            invited = None if invitation is None else invitation.email
            email = _address(wanted.email, invited)
            if email is None and token is None and self._confirmations.enabled:
                raise InvalidRequest([("email", "Give your email address: the account is confirmed by a mail to it.")])
            self._rules.check_address(email, required=True)
            _check_username(wanted.username, invited)
            role = self._rules.role if invitation is None else invitation.role
            new = await self._accounts.prepared(
                wanted.username,
                wanted.name,
                role,
                wanted.password,
                self._hashes,
                email=email,
                email_verified=invited is not None,
            )
            asking = None
            if email is not None and invited is None and self._confirmations.enabled:
                asking = self._confirmations.asking(new.user.id, email, browser)
            await self._add(new, invitation, asking, address)
            if invitation is None:
                # It is made, whatever the store says now. Nobody can fill the store with accounts faster than guess
                # passwords.
                with suppress(StoreUnavailable):
                    await attempt.failed()
        await self._throttle.clear(throttle_name(new.user.username))
        return new.user

    async def _add(
        self, new: Credentials, invitation: Invitation | None, asking: Asking | None, address: str | None
    ) -> None:
        """The account, its address, the use of the invitation and the mail to confirm by, or nothing of it."""
        now = self._clock.now_ms()
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> None:
            notes = [replace(user_created(new), by_target=True)]
            if invitation is not None:
                used = await self._invitations.use(transaction, invitation.id, now)
                notes.append(invitation_used(used, new.user, now))
            await self._accounts.insert(transaction, new)
            if asking is not None:
                await self._unconfirmed.add(transaction, new.user.id, now + CONFIRM_MS)
                await self._confirmations.ask(transaction, asking, address, invited=invitation is not None)
            await audit.write(transaction, *notes)

        await self._driver.write(unit)


def _address(given: str | None, invited: str | None) -> str | None:
    """The address of the new account. Raises InvalidInvitation if the invitation is for another one."""
    if invited is None or given is None:
        return given or invited
    if address_key(given) != address_key(invited):
        raise InvalidInvitation
    return invited


def _check_username(username: str, invited: str | None) -> None:
    """Raise InvalidRequest if the username looks like an address, and is not that of the invitation.

    Nobody has shown that it is theirs, and others would take it for that.
    """
    if "@" not in (username_key(username) or ""):
        return
    if invited is None or address_key(username) != address_key(invited):
        message = "A name with an @ takes an invitation for this address. Choose another one."
        raise InvalidRequest([("username", message)])
