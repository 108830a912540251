"""Making and changing accounts."""

from __future__ import annotations

from dataclasses import dataclass

from server.clock import Clock
from server.config.settings import PasswordSettings
from server.errors import InvalidRequest, InvalidResetToken, NotFound
from server.ids import Ids
from server.passwords.policy import check_new_password
from server.passwords.pool import HashPool
from server.store.protocol import Store
from server.store.records import Credentials, NewUser, User, UserFilter
from server.users.reset_token import ResetToken, ResetTokens


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
        store: Store,
        hashes: HashPool,
        reset_tokens: ResetTokens,
        roles: frozenset[str],
        clock: Clock,
        ids: Ids,
        passwords: PasswordSettings,
    ) -> None:
        self._store = store
        self._hashes = hashes
        self._reset_tokens = reset_tokens
        self._roles = roles
        self._clock = clock
        self._ids = ids
        self._passwords = passwords

    async def get(self, user_id: str) -> User:
        """The user of that id. Raises NotFound."""
        user = await self._store.get_user(user_id)
        if user is None:
            raise NotFound("There is no such user.")
        return user

    async def list(self, wanted: UserFilter) -> list[User]:
        """The users that fit, in the order of their ids."""
        return await self._store.list_users(wanted)

    async def create(self, username: str, name: str, role: str, password: str | None) -> CreatedUser:
        """Make an account. Raises UsernameTaken, InvalidRequest (role, password), Overloaded."""
        new = await self._new_user(username, name, role, password)
        user = await self._store.insert_user(new)
        if password is not None:
            return CreatedUser(user, None)
        return CreatedUser(user, self._reset_token(Credentials(user, None, new.created_at)))

    async def create_first(self, username: str, name: str, role: str, password: str) -> bool:
        """Make an account if the store has none. Hashes only then, so a usual start costs no hash."""
        if await self._store.list_users(UserFilter(limit=1)):
            return False
        return await self._store.insert_first_user(await self._new_user(username, name, role, password))

    async def rename(self, user_id: str, name: str) -> User:
        """Change the display name. Raises NotFound."""
        user = await self._store.rename_user(user_id, name, self._clock.now_ms())
        if user is None:
            raise NotFound("There is no such user.")
        return user

    async def reset_password(self, reset_token: str, new_password: str) -> None:
        """Set a password by a reset token, once. Raises InvalidResetToken, InvalidRequest, Overloaded."""
        content = self._reset_tokens.read(reset_token)
        if content is None or content.expires_at <= self._clock.now_ms():
            raise InvalidResetToken
        credentials = await self._store.get_credentials(content.user_id)
        if credentials is None or credentials.password_changed_at != content.password_changed_at:
            raise InvalidResetToken
        self._check_password(new_password, credentials.user.username, "new_password")
        new_hash = await self._hashes.hash(new_password)
        now = self._clock.now_ms()
        if not await self._store.set_password(content.user_id, new_hash, content.password_changed_at, now):
            raise InvalidResetToken

    async def _new_user(self, username: str, name: str, role: str, password: str | None) -> NewUser:
        if role not in self._roles:
            raise InvalidRequest([("role", f"There is no such role. Roles: {', '.join(sorted(self._roles))}.")])
        password_hash = None
        if password is not None:
            self._check_password(password, username, "password")
            password_hash = await self._hashes.hash(password)
        return NewUser(self._ids.new_id(), username, name, role, password_hash, self._clock.now_ms())

    def _check_password(self, password: str, username: str, field: str) -> None:
        messages = check_new_password(password, username, self._passwords.min_length)
        if messages:
            raise InvalidRequest([(field, message) for message in messages])

    def _reset_token(self, credentials: Credentials) -> str:
        expires_at = self._clock.now_ms() + self._passwords.reset_ttl_seconds * 1000
        return self._reset_tokens.issue(ResetToken(credentials.user.id, expires_at, credentials.password_changed_at))
