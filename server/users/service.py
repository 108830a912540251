"""Creates, changes and deletes accounts. passwords.py changes their passwords.

Each change is one transaction: it checks the rule, makes the change, ends the sessions of the user, and writes the
audit record, which comes last (server/audit/repository.py says why).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Unpack

from server.access.rules import require_role
from server.audit.repository import AuditRepository
from server.authentication.throttling import Throttle
from server.challenges.service import Challenges
from server.core.clock import Clock
from server.core.errors import InvalidRequest, NotFound
from server.core.ids import Ids, id_in
from server.core.text import is_displayable
from server.database.driver import Driver, Transaction
from server.emails.address import throttle_name
from server.emails.errors import EmailTaken
from server.emails.repository import EmailRepository
from server.mail.notices import Notices
from server.passwords.pool import HashPool
from server.sessions.errors import ReauthenticationRequired
from server.sessions.repository import SessionRepository
from server.sessions.revocation import Revocations
from server.users.audit_notes import user_changes, user_created, user_deleted
from server.users.changes import UserChange, changed, in_kept_form, kept_email, kept_username
from server.users.errors import LastAdmin, UsernameTaken
from server.users.model import Credentials, User, UserFilter, new_account
from server.users.names import NAME_LENGTH
from server.users.passwords import UserPasswords
from server.users.repository import UserRepository
from server.users.rows import key_of
from watchword_client.access import Roles, only


@dataclass(frozen=True, slots=True)
class CreatedUser:
    """A new account, with a reset token if it has no password."""

    user: User
    reset_token: str | None


class Users:
    """The accounts."""

    def __init__(
        self,
        *,
        driver: Driver,
        users: UserRepository,
        emails: EmailRepository,
        sessions: SessionRepository,
        audit: AuditRepository,
        passwords: UserPasswords,
        challenges: Challenges,
        notices: Notices,
        revocations: Revocations,
        throttle: Throttle,
        roles: Roles,
        privileged_roles: Collection[str] = (),
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._driver = driver
        self._users = users
        self._emails = emails
        self._sessions = sessions
        self._audit = audit
        self._passwords = passwords
        self._challenges = challenges
        self._notices = notices
        self._revocations = revocations
        self._throttle = throttle
        self._roles = roles
        self._admin_roles = roles.sufficient(only("admin")) or frozenset()
        # To give one of these is as good as to make an admin.
        self._privileged_roles = self._admin_roles.union(privileged_roles)
        self._clock = clock
        self._ids = ids

    async def get(self, user_id: str) -> User:
        """The user of that id. Raises NotFound."""
        user = await self._users.get_user(user_id)
        if user is None:
            raise NotFound("There is no such user.")
        return user

    async def credentials_of(self, username: str) -> Credentials:
        """The credentials of that username. Raises NotFound."""
        credentials = await self._users.find_credentials(username)
        if credentials is None:
            raise NotFound(f"There is no user {username!r}.")
        return credentials

    async def find(self, id_or_name: str) -> Credentials:
        """The credentials of that id, or else of that username. Raises NotFound."""
        user_id = id_in(id_or_name)
        by_id = None if user_id is None else await self._users.get_credentials(user_id)
        return by_id or await self.credentials_of(id_or_name)

    async def list(self, wanted: UserFilter) -> list[User]:
        """The users that fit, in the order of their ids."""
        return await self._users.list_users(wanted)

    async def has_admin(self) -> bool:
        """Whether an enabled user can administer the others."""
        for role in sorted(self._admin_roles):
            if await self._users.list_users(UserFilter(limit=1, role=role, disabled=False)):
                return True
        return False

    async def create(
        self, username: str, name: str, role: str, password: str | None, email: str | None = None
    ) -> CreatedUser:
        """Make an account; its address counts as verified.

        Raises UsernameTaken, EmailTaken, InvalidRequest (role, username, name, email, password), Overloaded.
        """
        new = await self.prepared(username, name, role, password, email=email, email_verified=True)
        await self.add(new)
        await self._throttle.clear(throttle_name(username))
        return CreatedUser(new.user, self._passwords.reset_token(new) if password is None else None)

    async def add(self, new: Credentials) -> None:
        """Make an account of values that were checked. Raises UsernameTaken, EmailTaken."""
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> None:
            await self.insert(transaction, new)
            await audit.write(transaction, user_created(new))

        await self._driver.write(unit)

    async def insert(self, transaction: Transaction, new: Credentials) -> None:
        """Make an account, without its audit record. Raises UsernameTaken, EmailTaken."""
        if await self._users.insert(transaction, [new]):
            return
        if await self._users.has_name(transaction, new.user.username):
            raise UsernameTaken
        raise EmailTaken

    async def create_first(
        self, username: str, name: str, role: str, password: str, before_commit: Callable[[], None] | None = None
    ) -> bool:
        """Make an account if the store has none. Hashes only then, so a usual start costs no hash.

        If `before_commit` raises, there is no account.
        """
        if await self._users.list_users(UserFilter(limit=1)):
            return False
        return await self.add_first(await self.prepared(username, name, role, password), before_commit)

    async def add_first(self, new: Credentials, before_commit: Callable[[], None] | None = None) -> bool:
        """The same of values that were checked."""
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> bool:
            # Otherwise two nodes could both find an empty table.
            await transaction.lock("first user")
            if await self._users.has_any(transaction) or not await self._users.insert(transaction, [new]):
                return False
            await audit.write(transaction, user_created(new))
            if before_commit is not None:
                before_commit()
            return True

        return await self._driver.write(unit)

    async def prepared(
        self,
        username: str,
        name: str,
        role: str,
        password: str | None,
        hashes: HashPool | None = None,
        *,
        email: str | None = None,
        email_verified: bool = False,
    ) -> Credentials:
        """An account to be made, of values that are as they should be. `add` says whether they are free.

        Strangers' passwords are hashed in their own pool, `hashes`. Raises InvalidRequest, Overloaded.
        """
        require_role(self._roles, role)
        username = kept_username(username)
        email = None if email is None else kept_email(email)
        if not is_displayable(name) or not 1 <= len(name) <= NAME_LENGTH:
            raise InvalidRequest([("name", f"Use 1 to {NAME_LENGTH} characters and no line breaks or other controls.")])
        password_hash = None
        if password is not None:
            names = [username, name, *([] if email is None else [email])]
            password_hash = await self._passwords.hash(password, names, "password", hashes)
        return new_account(
            user_id=self._ids.new_id(),
            username=username,
            name=name,
            role=role,
            password_hash=password_hash,
            now=self._clock.now_ms(),
            email=email,
            email_verified=email_verified,
        )

    def is_admin_role(self, role: str) -> bool:
        """Whether who has it may call what asks for a recent sign-in: admin, what includes it, and by `[access]`."""
        return role in self._privileged_roles

    async def update(self, user_id: str, *, recent: bool = True, **change: Unpack[UserChange]) -> User:
        """Change what is given. Raises NotFound, LastAdmin, UsernameTaken, EmailTaken, InvalidRequest.

        `recent` is whether who asks has signed in a short while ago. Without that, a change of the address, or of the
        role to or from an admin role, raises ReauthenticationRequired, and so does enabling a user who has one.

        A disabled user's sessions and mailed ways in end; a new role makes the access tokens with the old one invalid,
        and the next refresh carries it. With another username sessions go on, and the next refresh brings a token with
        it; devices that have logged in stay known, and wrong passwords stay counted. The old username is free at once.
        The address counts as verified and replaces the primary one.
        """
        change = in_kept_form(change)
        if (role := change.get("role")) is not None:
            require_role(self._roles, role)
        now = self._clock.now_ms()
        audit, notices = self._audit.writer(), self._notices.writer()

        async def unit(transaction: Transaction) -> User:
            before = await self._lock(transaction, user_id)
            after = changed(before, change, now)
            if after == before:
                return before
            if not recent and self._needs_recent(before, after):
                raise ReauthenticationRequired
            if self._is_admin(before) and not self._is_admin(after):
                await self._require_other_admin(transaction, user_id)
            if after.disabled and not before.disabled:
                await self._sessions.end_all(transaction, user_id, None, now)
                # Nor does what was mailed before let anybody in once the user is enabled again.
                await self._challenges.end_all(transaction, user_id)
            after = replace(after, updated_at=now)
            await self._write_names(transaction, before, after)
            role_changed_at = await self._users.update(transaction, after)
            if after.role != before.role:
                await self._sessions.revoke_for_role(transaction, user_id, after.role, role_changed_at, now)
            await notices.primary_changed(transaction, before, after)
            await audit.write(transaction, *user_changes(before, after))
            return after

        user = await self._driver.write(unit)
        notices.soon()
        await self._revocations.soon()
        return user

    async def rename(self, user_id: str, username: str) -> User:
        """Give another username. Raises NotFound, UsernameTaken, InvalidRequest (username)."""
        return await self.update(user_id, username=username)

    async def _write_names(self, transaction: Transaction, before: User, after: User) -> None:
        """Write what somebody else may have: username and address. Raises UsernameTaken, EmailTaken."""
        renamed = after.username != before.username
        addressed = (after.email, after.email_verified_at) != (before.email, before.email_verified_at)
        if addressed or (renamed and "@" in key_of(after.username)):
            await self._emails.lock(transaction)
        if renamed:
            if not await self._users.rename(transaction, after):
                raise UsernameTaken
            old, new = throttle_name(before.username), throttle_name(after.username)
            if old != new:
                await self._throttle.rename(transaction, old, new)
        if addressed and not await self._emails.replace_primary(transaction, before, after):
            raise EmailTaken

    async def delete(self, user_id: str) -> None:
        """Delete an account. Raises NotFound, LastAdmin.

        The sessions go with the user; what revokes their tokens stays.
        """
        now = self._clock.now_ms()
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> None:
            before = await self._lock(transaction, user_id)
            if self._is_admin(before):
                await self._require_other_admin(transaction, user_id)
            await self._sessions.end_all(transaction, user_id, None, now)
            await self._users.delete(transaction, user_id)
            await audit.write(transaction, user_deleted(before, now))

        await self._driver.write(unit)
        await self._revocations.soon()

    async def _lock(self, transaction: Transaction, user_id: str) -> User:
        """The user, whose row nobody else changes until the unit ends. Raises NotFound.

        Two nodes that each take away one of the last two admins must see each other, so admins share a lock.
        """
        user = await self._users.lock(transaction, user_id)
        if user is None:
            raise NotFound("There is no such user.")
        if self._is_admin(user):
            await transaction.lock("admins")
        return user

    def _needs_recent(self, before: User, after: User) -> bool:
        """Whether who makes this change has to have signed in a short while ago."""
        if before.role != after.role and (self.is_admin_role(before.role) or self.is_admin_role(after.role)):
            return True
        if before.disabled and not after.disabled and self.is_admin_role(after.role):
            return True
        return (before.email, before.email_verified_at) != (after.email, after.email_verified_at)

    def _is_admin(self, user: User) -> bool:
        return user.role in self._admin_roles and not user.disabled

    async def _require_other_admin(self, transaction: Transaction, user_id: str) -> None:
        if not await self._users.has_other(transaction, user_id, sorted(self._admin_roles)):
            raise LastAdmin
