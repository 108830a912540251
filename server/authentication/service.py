"""Authentication: checks credentials, and returns who it is and by which methods this was proved.

Opening the session is another step: `Sessions.open` takes an `Authenticated` of any method. So a new way of signing in
is a new method here, or a module beside this one, and sessions need not change.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from server.audit.model import AuditEvent, AuditNote
from server.authentication.attempt import Attempt
from server.authentication.device import DeviceCookies
from server.authentication.errors import ChangedMeanwhile, EmailNotConfirmed, InvalidCredentials
from server.authentication.model import PASSWORD_METHOD, Authenticated
from server.authentication.throttling import Throttle
from server.core.clock import Clock
from server.core.errors import NotFound, Overloaded
from server.emails.address import throttle_name
from server.passwords.pool import HashPool, NeverBegun
from server.users.model import Credentials
from server.users.repository import UserRepository

# The id of no user: an account that does not exist has no known devices.
NOBODY = "00000000-0000-0000-0000-000000000000"

# Returns the audit note of a failure for a reason; None if it is not recorded.
NoteOf = Callable[[str], AuditNote | None]


class Authentication:
    """The one place that checks a password, and throttles it."""

    def __init__(
        self,
        *,
        users: UserRepository,
        hashes: HashPool,
        preferred_hashes: HashPool,
        throttle: Throttle,
        devices: DeviceCookies,
        clock: Clock,
    ) -> None:
        """`preferred_hashes` is the pool for known devices and logged in users, who do not wait behind strangers."""
        self._users = users
        self._hashes = hashes
        self._preferred_hashes = preferred_hashes
        self._throttle = throttle
        self._devices = devices
        self._clock = clock

    @asynccontextmanager
    async def log_in(
        self, username: str, password: str, address: str | None, device_cookie: str | None = None
    ) -> AsyncIterator[Authenticated]:
        """Check a password. Open the session inside the block: the attempt succeeds only when the block ends.

        `username` may be a verified address too. Raises InvalidCredentials, in the same words and after one hash, for
        an unknown user, a disabled one and a wrong password, and if the block raises ChangedMeanwhile; TooManyAttempts,
        for each of them alike; Overloaded if too many hashes wait, or too many attempts run. The block may also raise
        EmailNotConfirmed: the password was right, so the attempt counts as a success.
        """
        if not self._devices.is_genuine(device_cookie):
            # What would be refused after two transactions is refused before them.
            self._hashes.require_room()
        credentials = await self._users.find_credentials(username)
        user = credentials.user if credentials is not None else None
        device_id = self._devices.device_of(device_cookie, NOBODY if user is None else user.id)

        def failure(reason: str) -> AuditNote:
            # The same write for existing and unknown users. If it fails, the login fails, as with the right password.
            # An unknown username is not recorded, since it may be a password.
            user_id, name = (None, None) if user is None else (user.id, user.username)
            return AuditNote(AuditEvent.LOGIN_FAILED, self._clock.now_ms(), user_id, name, after={"reason": reason})

        # Counted by account, whatever name was typed: a second name gives no more attempts.
        account = throttle_name(username if user is None else user.username)
        async with self._throttle.login_attempt(account, address, device_id) as attempt:
            found = await self._check(attempt, credentials, password, failure)
            await self._renew_hash(attempt, found, password)
            # If the device had used up its attempts and counted as a stranger, it gets a new id.
            known = None if attempt.is_strangers else device_id
            try:
                yield Authenticated(found, (PASSWORD_METHOD,), known)
            except ChangedMeanwhile:
                await attempt.failed(failure("changed meanwhile"))
                raise InvalidCredentials from None
            except EmailNotConfirmed:
                await attempt.succeeded()
                raise
            await attempt.succeeded()

    async def reauthenticate(self, user_id: str, password: str, failed: AuditEvent) -> Authenticated:
        """Check the password of somebody who is logged in; `failed` is what the audit log calls a wrong one.

        Raises InvalidCredentials, TooManyAttempts, Overloaded, NotFound.
        """
        credentials = await self._users.get_credentials(user_id)
        if credentials is None:
            raise NotFound("There is no such user.")
        user = credentials.user

        def failure(reason: str) -> AuditNote | None:
            return None if reason == _LEFT else AuditNote(failed, self._clock.now_ms(), user.id, user.username)

        async with self._throttle.reauthentication_attempt(throttle_name(user.username)) as attempt:
            found = await self._check(attempt, credentials, password, failure, "The current password is wrong.")
            await attempt.succeeded()
        return Authenticated(found, (PASSWORD_METHOD,))

    def device_cookie(self, authenticated: Authenticated) -> str:
        """The value of the cookie by which this device is known the next time. An unknown device gets a new id."""
        return self._devices.issue(authenticated.credentials.user.id, authenticated.device_id)

    def known_device(self, device_cookie: str | None, user_id: str) -> str | None:
        """The device of the cookie, if the user has signed in there before."""
        return self._devices.device_of(device_cookie, user_id)

    async def _check(
        self,
        attempt: Attempt,
        credentials: Credentials | None,
        password: str,
        failure: NoteOf,
        detail: str | None = None,
    ) -> Credentials:
        """The credentials, if the password fits; otherwise the attempt has failed. Raises InvalidCredentials."""
        # For a disabled account no hash is compared, or the time would show that a password is right.
        password_hash = credentials.password_hash if credentials and not credentials.user.disabled else None
        try:
            matches = await self._hashes_for(attempt).verify(password, password_hash)
        except NeverBegun:
            raise
        except asyncio.CancelledError:
            # The failure counts, so the audit log has to say why the account may be throttled.
            await attempt.failed(failure(_LEFT))
            raise
        if credentials is None or password_hash is None or not matches:
            await attempt.failed(failure(_reason(credentials)))
            raise InvalidCredentials(detail)
        return credentials

    async def _renew_hash(self, attempt: Attempt, credentials: Credentials, password: str) -> None:
        """Replace the hash if it has a lower cost or is of another system."""
        hashes, password_hash = self._hashes_for(attempt), credentials.password_hash
        if password_hash is not None and hashes.needs_renewal(password_hash):
            # If the queue is full, the next login does it.
            with suppress(Overloaded):
                renewed = await hashes.hash(password)
                await self._users.renew_password_hash(credentials.user.id, password_hash, renewed)

    def _hashes_for(self, attempt: Attempt) -> HashPool:
        return self._hashes if attempt.is_strangers else self._preferred_hashes


_LEFT = "left before the answer"


def _reason(credentials: Credentials | None) -> str:
    """The reason of a failed login, for the audit log only."""
    if credentials is None:
        return "unknown user"
    if credentials.user.disabled:
        return "disabled"
    return "no password" if credentials.password_hash is None else "wrong password"
