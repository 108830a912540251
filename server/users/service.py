"""Making and changing accounts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from server.audit.model import AuditEvent, AuditNote
from server.audit.repository import AuditRepository
from server.authentication.errors import InvalidCredentials
from server.authentication.service import Authentication
from server.authentication.throttling import Throttle
from server.core.clock import Clock
from server.core.errors import InvalidRequest, NotFound
from server.core.ids import Ids
from server.core.text import is_displayable
from server.passwords.policy import PasswordPolicy
from server.passwords.pool import HashPool
from server.sessions.revocation import Revocations
from server.settings.tree import PasswordSettings
from server.users.errors import InvalidResetToken
from server.users.model import Credentials, NewUser, User, UserChange, UserFilter
from server.users.names import NAME_LENGTH, compared, username_of
from server.users.repository import UserRepository
from server.users.reset_token import ResetToken, ResetTokens
from watchword_client.access import Roles, only

# The longest life that `passwords.reset_ttl_seconds` gives a reset token, and a minute for clocks that differ.
LONGEST_RESET_MS = 2_592_000_000 + 60_000


@dataclass(frozen=True, slots=True)
class CreatedUser:
    """A new account; with a reset token if it was made without a password."""

    user: User
    reset_token: str | None


class Users:
    """The accounts."""

    def __init__(
        self,
        *,
        repository: UserRepository,
        audit: AuditRepository,
        hashes: HashPool,
        reset_tokens: ResetTokens,
        revocations: Revocations,
        throttle: Throttle,
        authentication: Authentication,
        roles: Roles,
        clock: Clock,
        ids: Ids,
        policy: PasswordPolicy,
        passwords: PasswordSettings,
    ) -> None:
        self._users = repository
        self._audit = audit
        self._hashes = hashes
        self._reset_tokens = reset_tokens
        self._revocations = revocations
        self._throttle = throttle
        self._authentication = authentication
        self._roles = roles
        self._admin_roles = tuple(sorted(roles.sufficient(only("admin")) or ()))
        self._clock = clock
        self._ids = ids
        self._policy = policy
        self._passwords = passwords

    async def get(self, user_id: str) -> User:
        """The user of that id. Raises NotFound."""
        user = await self._users.get_user(user_id)
        if user is None:
            raise NotFound("There is no such user.")
        return user

    async def list(self, wanted: UserFilter) -> list[User]:
        """The users that fit, in the order of their ids."""
        return await self._users.list_users(wanted)

    async def create(self, username: str, name: str, role: str, password: str | None) -> CreatedUser:
        """Make an account. Raises UsernameTaken, InvalidRequest (role, username, name, password), Overloaded."""
        new = await self._new_user(username, name, role, password)
        user = await self._users.insert_user(new)
        await self._throttle.forget(compared(username))
        if password is not None:
            return CreatedUser(user, None)
        return CreatedUser(user, self._reset_token(Credentials(user, None, new.created_at)))

    async def create_first(
        self, username: str, name: str, role: str, password: str, before_commit: Callable[[], None] | None = None
    ) -> bool:
        """Make an account if the store has none. Hashes only then, so a usual start costs no hash.

        If `before_commit` raises, there is no account.
        """
        if await self._users.list_users(UserFilter(limit=1)):
            return False
        return await self._users.insert_first_user(await self._new_user(username, name, role, password), before_commit)

    async def has_admin(self) -> bool:
        """Whether an enabled user can administer the others."""
        for role in self._admin_roles:
            if await self._users.list_users(UserFilter(limit=1, role=role, disabled=False)):
                return True
        return False

    async def update(
        self, user_id: str, *, name: str | None = None, role: str | None = None, disabled: bool | None = None
    ) -> User:
        """Change what is given. Raises NotFound, LastAdmin, InvalidRequest (role).

        A disabled user's sessions end; a new role makes the access tokens with the old one invalid, and the next
        refresh carries it.
        """
        if role is not None:
            self._check_role(role)
        now = self._clock.now_ms()
        change = UserChange(self._admin_roles, name, role, disabled)
        user = await self._users.update_user(user_id, change, now, self._revocations.forget_at(now))
        if user is None:
            raise NotFound("There is no such user.")
        await self._revocations.soon()
        return user

    async def delete(self, user_id: str) -> None:
        """Delete an account and end its sessions. Raises NotFound, LastAdmin."""
        now = self._clock.now_ms()
        if not await self._users.delete_user(user_id, self._admin_roles, now, self._revocations.forget_at(now)):
            raise NotFound("There is no such user.")
        await self._revocations.soon()

    async def change_password(self, user_id: str, session_id: str, current: str, new: str) -> None:
        """Set a new password, knowing the current one; all other sessions end.

        Raises InvalidCredentials, TooManyAttempts, InvalidRequest, Overloaded, NotFound.
        """
        # First this: who does not know the current password learns nothing, and makes nobody examine another.
        proved = await self._authentication.reauthenticate(user_id, current, AuditEvent.PASSWORD_CHANGE_FAILED)
        credentials = proved.credentials
        self._check_password(new, _names_of(credentials.user), "new_password")
        if not await self._set_password(credentials, new, keep_session_id=session_id):
            raise InvalidCredentials("The password was changed meanwhile.")

    async def replace_password(self, username: str, new: str) -> None:
        """Set a password without the current one, for operators; all sessions end. Raises NotFound, InvalidRequest."""
        credentials = await self.credentials_of(username)
        self._check_password(new, _names_of(credentials.user), "password")
        if not await self._set_password(credentials, new, keep_session_id=None):
            raise InvalidCredentials("The password was changed meanwhile; try again.")

    async def credentials_of(self, username: str) -> Credentials:
        """By name. Raises NotFound."""
        credentials = await self._users.find_credentials(username)
        if credentials is None:
            raise NotFound(f"There is no user {username!r}.")
        return credentials

    async def reset_token(self, user_id: str) -> str:
        """A token with which the user can set a new password, once. Raises NotFound."""
        credentials = await self._users.get_credentials(user_id)
        if credentials is None:
            raise NotFound("There is no such user.")
        await self._audit.record(self._note(AuditEvent.PASSWORD_RESET_REQUESTED, credentials.user))
        return self._reset_token(credentials)

    async def reset_password(self, reset_token: str, new_password: str, address: str | None) -> None:
        """Set a password by a reset token, once.

        Raises InvalidResetToken, TooManyAttempts, InvalidRequest, Overloaded.
        """
        async with self._throttle.reset(address):
            credentials = await self._credentials_for(reset_token)
        self._check_password(new_password, _names_of(credentials.user), "new_password")
        if not await self._set_password(
            credentials, new_password, keep_session_id=None, event=AuditEvent.PASSWORD_RESET
        ):
            raise InvalidResetToken

    async def _credentials_for(self, reset_token: str) -> Credentials:
        content = self._reset_tokens.read(reset_token)
        now = self._clock.now_ms()
        # One that lasts longer than any was made by a clock that was ahead.
        if content is None or not now < content.expires_at <= now + LONGEST_RESET_MS:
            raise InvalidResetToken
        credentials = await self._users.get_credentials(content.user_id)
        if credentials is None or credentials.password_changed_at != content.password_changed_at:
            raise InvalidResetToken
        return credentials

    def _note(self, event: AuditEvent, user: User) -> AuditNote:
        return AuditNote(event, self._clock.now_ms(), user.id, user.username)

    async def _set_password(
        self,
        credentials: Credentials,
        new: str,
        *,
        keep_session_id: str | None,
        event: AuditEvent = AuditEvent.PASSWORD_CHANGED,
    ) -> bool:
        """False if the password was changed since the credentials were read."""
        new_hash = await self._hashes.hash(new)
        now = self._clock.now_ms()
        done = await self._users.set_password(
            credentials.user.id,
            new_hash,
            credentials.password_changed_at,
            keep_session_id=keep_session_id,
            now=now,
            forget_at=self._revocations.forget_at(now),
            event=event,
        )
        await self._revocations.soon()
        if done:
            await self._throttle.forget(compared(credentials.user.username))
        return done

    async def _new_user(self, username: str, name: str, role: str, password: str | None) -> NewUser:
        self._check_role(role)
        try:
            username = username_of(username)
        except ValueError as error:
            raise InvalidRequest([("username", f"{error}.")]) from None
        if not is_displayable(name) or not 1 <= len(name) <= NAME_LENGTH:
            raise InvalidRequest([("name", f"Use 1 to {NAME_LENGTH} characters and no line breaks or other controls.")])
        password_hash = None
        if password is not None:
            self._check_password(password, (username, name), "password")
            password_hash = await self._hashes.hash(password)
        return NewUser(self._ids.new_id(), username, name, role, password_hash, self._clock.now_ms())

    def _check_role(self, role: str) -> None:
        if role not in self._roles:
            raise InvalidRequest([("role", f"There is no such role. Roles: {', '.join(self._roles.names())}.")])

    def _check_password(self, password: str, names: tuple[str, str], field: str) -> None:
        messages = self._policy.problems(password, names)
        if messages:
            raise InvalidRequest([(field, message) for message in messages])

    def _reset_token(self, credentials: Credentials) -> str:
        expires_at = self._clock.now_ms() + self._passwords.reset_ttl_seconds * 1000
        return self._reset_tokens.issue(ResetToken(credentials.user.id, expires_at, credentials.password_changed_at))


def _names_of(user: User) -> tuple[str, str]:
    return user.username, user.name
