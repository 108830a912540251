"""Changes, resets and replaces the passwords of accounts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from server.audit.model import AuditEvent, AuditNote
from server.audit.repository import AuditRepository
from server.authentication.errors import InvalidCredentials
from server.authentication.service import Authentication
from server.authentication.throttling import Throttle
from server.challenges.service import Challenges
from server.core.clock import Clock
from server.core.errors import InvalidRequest, NotFound
from server.core.turns import Turns
from server.database.driver import Driver, Transaction
from server.emails.address import throttle_name
from server.mail.notices import Notices
from server.passwords.policy import PasswordPolicy
from server.passwords.pool import HashPool
from server.sessions.repository import SessionRepository
from server.sessions.revocation import Revocations
from server.settings.tree import PasswordSettings
from server.users.errors import InvalidResetToken
from server.users.model import Credentials, User
from server.users.repository import UserRepository
from server.users.reset_token import ResetToken, ResetTokens

# The longest life that `passwords.reset_ttl_seconds` gives a reset token, and a minute for clocks that differ.
LONGEST_RESET_MS = 2_592_000_000 + 60_000


class _NothingToUse(Exception):
    """Undoes the transaction."""


class UserPasswords:
    """Every new password passes the policy and ends sessions."""

    def __init__(
        self,
        *,
        driver: Driver,
        users: UserRepository,
        sessions: SessionRepository,
        audit: AuditRepository,
        authentication: Authentication,
        hashes: HashPool,
        policy: PasswordPolicy,
        reset_tokens: ResetTokens,
        revocations: Revocations,
        challenges: Challenges,
        throttle: Throttle,
        notices: Notices,
        clock: Clock,
        turns: Turns,
        settings: PasswordSettings,
    ) -> None:
        self._driver = driver
        self._users = users
        self._sessions = sessions
        self._audit = audit
        self._authentication = authentication
        self._hashes = hashes
        self._policy = policy
        self._reset_tokens = reset_tokens
        self._revocations = revocations
        self._challenges = challenges
        self._throttle = throttle
        self._notices = notices
        self._clock = clock
        self._turns = turns
        self._settings = settings

    async def change(self, user_id: str, session_id: str | None, current: str, new: str) -> None:
        """Set a new password, knowing the current one; all other sessions end.

        Raises InvalidCredentials, TooManyAttempts, InvalidRequest, Overloaded, NotFound.
        """
        # The current password is checked first: without it the policy must not examine the new one.
        proved = await self._authentication.reauthenticate(user_id, current, AuditEvent.PASSWORD_CHANGE_FAILED)
        credentials = proved.credentials
        password_hash = await self.hash(new, names_of(credentials.user), "new_password")
        if not await self.set_hash(credentials, password_hash, keep_session_id=session_id):
            raise InvalidCredentials("The password was changed meanwhile.")

    async def replace(self, credentials: Credentials, new: str) -> None:
        """Set a password without the current one, for operators; all sessions end. Raises InvalidRequest."""
        password_hash = await self.hash(new, names_of(credentials.user), "password")
        if not await self.set_hash(credentials, password_hash):
            raise InvalidCredentials("The password was changed meanwhile; try again.")

    async def request_reset(self, user_id: str) -> str:
        """A token with which the user can set a new password, once. Raises NotFound."""
        credentials = await self._users.get_credentials(user_id)
        if credentials is None:
            raise NotFound("There is no such user.")
        event, user = AuditEvent.PASSWORD_RESET_REQUESTED, credentials.user
        await self._audit.record(AuditNote(event, self._clock.now_ms(), user.id, user.username))
        return self.reset_token(credentials)

    async def reset(self, reset_token: str, new_password: str, address: str | None) -> None:
        """Set a password by a reset token, once.

        Raises InvalidResetToken, TooManyAttempts, InvalidRequest, Overloaded.
        """
        async with self._throttle.reset_token_attempt(address):
            credentials = await self._credentials_for(reset_token)
        password_hash = await self.hash(new_password, names_of(credentials.user), "new_password")
        if not await self.set_hash(credentials, password_hash, event=AuditEvent.PASSWORD_RESET):
            raise InvalidResetToken

    async def hash(self, password: str, names: Sequence[str], field: str, hashes: HashPool | None = None) -> str:
        """The hash of a password that the policy allows for someone of these names. Raises InvalidRequest, Overloaded.

        `field` is where the problem is shown. Strangers have a pool of their own, `hashes`.
        """
        hashes = hashes or self._hashes
        # To judge a password costs more than to refuse it.
        hashes.require_room()
        messages = await self._policy.problems_in_turns(password, names, self._turns)
        if messages:
            raise InvalidRequest([(field, message) for message in messages])
        return await hashes.hash(password)

    def reset_token(self, credentials: Credentials) -> str:
        """A reset token. It is valid until it expires or the password is changed."""
        expires_at = self._clock.now_ms() + self._settings.reset_ttl_seconds * 1000
        return self._reset_tokens.issue(ResetToken(credentials.user.id, expires_at, credentials.password_changed_at))

    async def set_hash(
        self,
        credentials: Credentials,
        password_hash: str,
        *,
        keep_session_id: str | None = None,
        event: AuditEvent = AuditEvent.PASSWORD_CHANGED,
        use: Callable[[Transaction], Awaitable[bool]] | None = None,
    ) -> bool:
        """Set a password hash, end all sessions but one, and what was mailed to reset the password or to sign in.

        False if the password has changed since `credentials`. `use` uses up in the same transaction what lets somebody
        do this once; False, and nothing is changed, if that is gone.
        """
        user_id = credentials.user.id
        now = self._clock.now_ms()
        # It must differ from the old value, even if the clock stood still.
        changed_at = max(now, credentials.password_changed_at + 1)
        audit, notices = self._audit.writer(), self._notices.writer()

        async def unit(transaction: Transaction) -> bool:
            username = await self._users.set_password_hash(transaction, credentials, password_hash, changed_at, now)
            if username is None:
                return False
            if use is not None and not await use(transaction):
                raise _NothingToUse
            await self._challenges.end_all(transaction, user_id)
            ended = await self._sessions.end_all(transaction, user_id, keep_session_id, now)
            await notices.password_changed(transaction, user_id, now)
            after = {"sessions_ended": len(ended)}
            await audit.write(transaction, AuditNote(event, now, user_id, username, after=after))
            return True

        try:
            done = await self._driver.write(unit)
        except _NothingToUse:
            return False
        notices.soon()
        await self._revocations.soon()
        if done:
            await self._throttle.clear(throttle_name(credentials.user.username))
        return done

    async def _credentials_for(self, reset_token: str) -> Credentials:
        content = self._reset_tokens.read(reset_token)
        now = self._clock.now_ms()
        # If a token lasts longer than the settings allow, it was made while the clock was ahead.
        if content is None or not now < content.expires_at <= now + LONGEST_RESET_MS:
            raise InvalidResetToken
        credentials = await self._users.get_credentials(content.user_id)
        if credentials is None or credentials.password_changed_at != content.password_changed_at:
            raise InvalidResetToken
        return credentials


def names_of(user: User) -> list[str]:
    """The names of a user, of which the password must not be made."""
    return [user.username, user.name, *([] if user.email is None else [user.email])]
