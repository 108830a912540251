"""Signing in: checks what somebody proves who they are with, and says who it was and how it was proved.

What comes of it is another step: `Sessions.open` takes an `Authenticated`, whatever way led to it. So a further way of
signing in is a further method here, or a module beside this one, and sessions need not know of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from server.audit.model import AuditEvent, AuditNote
from server.authentication.attempt import Attempt
from server.authentication.device import DeviceCookies
from server.authentication.errors import ChangedMeanwhile, InvalidCredentials
from server.authentication.model import Authenticated
from server.authentication.throttling import Throttle
from server.core.clock import Clock
from server.core.errors import NotFound, Overloaded
from server.passwords.pool import HashPool, NeverBegun
from server.users.model import Credentials
from server.users.names import throttle_name
from server.users.repository import UserRepository

# RFC 8176 section 2.
PASSWORD_METHOD = "pwd"  # noqa: S105 - the name of a method
# The id of no user: an account that does not exist has no known devices.
NOBODY = "00000000-0000-0000-0000-000000000000"

# What the audit log says of a failure for that reason, if anything.
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
        """`preferred_hashes` are of known devices and logged in users: they do not wait in one queue with strangers."""
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
        """Check a password. The session is opened inside the block, since the attempt ends with it.

        Raises InvalidCredentials, in the same words and after one hash, for an unknown user, a disabled one and a wrong
        password, and if the block raises ChangedMeanwhile; TooManyAttempts, for each of them alike; Overloaded if too
        many hashes wait, or too many attempts run.
        """
        credentials = await self._users.find_credentials(username)
        user = credentials.user if credentials is not None else None
        device_id = self._devices.device_of(device_cookie, NOBODY if user is None else user.id)

        def failure(reason: str) -> AuditNote:
            # The same write whoever the user is or is not. If it fails, so does the login, as it does with the right
            # password. A name that nobody has is not kept: it may be a password.
            user_id, name = (None, None) if user is None else (user.id, user.username)
            return AuditNote(AuditEvent.LOGIN_FAILED, self._clock.now_ms(), user_id, name, after={"reason": reason})

        async with self._throttle.login_attempt(throttle_name(username), address, device_id) as attempt:
            found = await self._check(attempt, credentials, password, failure)
            await self._renew_hash(attempt, found, password)
            # A device that had used up its attempts, and was a stranger here, is none that is known.
            known = None if attempt.is_strangers else device_id
            try:
                yield Authenticated(found, (PASSWORD_METHOD,), known)
            except ChangedMeanwhile:
                await attempt.failed(failure("changed meanwhile"))
                raise InvalidCredentials from None
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

        async with self._throttle.password_change_attempt(throttle_name(user.username)) as attempt:
            found = await self._check(attempt, credentials, password, failure, "The current password is wrong.")
            await attempt.succeeded()
        return Authenticated(found, (PASSWORD_METHOD,))

    def device_cookie(self, authenticated: Authenticated) -> str:
        """The value of the cookie by which this device is known the next time. An unknown device gets a new id."""
        return self._devices.issue(authenticated.credentials.user.id, authenticated.device_id)

    async def _check(
        self,
        attempt: Attempt,
        credentials: Credentials | None,
        password: str,
        failure: NoteOf,
        detail: str | None = None,
    ) -> Credentials:
        """The credentials, if it is their password; else the attempt has failed. Raises InvalidCredentials."""
        # A disabled account is asked nothing, or the right password would tell by its time that it is right.
        password_hash = credentials.password_hash if credentials and not credentials.user.disabled else None
        try:
            matches = await self._hashes_for(attempt).verify(password, password_hash)
        except NeverBegun:
            raise
        except asyncio.CancelledError:
            # It was counted, so the log says why the account may be held up.
            await attempt.failed(failure(_LEFT))
            raise
        if credentials is None or password_hash is None or not matches:
            await attempt.failed(failure(_reason(credentials)))
            raise InvalidCredentials(detail)
        return credentials

    async def _renew_hash(self, attempt: Attempt, credentials: Credentials, password: str) -> None:
        """Make the hash anew if it is of a lower cost, or of another system."""
        hashes, password_hash = self._hashes_for(attempt), credentials.password_hash
        if password_hash is not None and hashes.needs_renewal(password_hash):
            # If the queue is full just now, it is done at the next login.
            with suppress(Overloaded):
                renewed = await hashes.hash(password)
                await self._users.renew_password_hash(credentials.user.id, password_hash, renewed)

    def _hashes_for(self, attempt: Attempt) -> HashPool:
        return self._hashes if attempt.is_strangers else self._preferred_hashes


_LEFT = "left before the answer"


def _reason(credentials: Credentials | None) -> str:
    """Why a login failed, for the audit log alone."""
    if credentials is None:
        return "unknown user"
    if credentials.user.disabled:
        return "disabled"
    return "no password" if credentials.password_hash is None else "wrong password"
