"""The SQL of accounts, once for both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from server.audit.model import AuditEvent, AuditNote, Value
from server.audit.repository import AuditRepository
from server.database.driver import Driver, Row, Transaction
from server.sessions.repository import SessionRepository, revoke_for_role
from server.users.errors import LastAdmin, UsernameTaken
from server.users.lookups import UserLookups
from server.users.model import Credentials, NewUser, User, UserChange, UserFilter
from server.users.names import username_key
from server.users.rows import USER, key_of, search_text
from server.users.search import UserSearch

# No row comes back if the username is taken.
_INSERT_USER = (
    "INSERT INTO users (id, username, username_key, name, search_text, role, password_hash, password_changed_at, "
    "created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
    f"ON CONFLICT DO NOTHING RETURNING {USER}"
)
# With each new role the time of its change rises, even if the clock stood still or went back.
_UPDATE_USER = (
    "UPDATE users SET name = $1, search_text = $2, role = $3, disabled_at = $4, updated_at = $5, role_changed_at = "
    "CASE WHEN role = $3 THEN role_changed_at WHEN role_changed_at < $5 THEN $5 ELSE role_changed_at + 1 END "
    f"WHERE id = $6 RETURNING {USER}, role_changed_at"
)


class UserRepository:
    """The SQL of accounts. Ids and usernames are printable, so others are not there."""

    def __init__(self, driver: Driver, audit: AuditRepository, sessions: SessionRepository) -> None:
        self._driver = driver
        self._audit = audit
        self._sessions = sessions
        self._lookups = UserLookups(self._fetch_users)
        self._search = UserSearch(driver)
        self._users_by_id = f"SELECT {USER} FROM users WHERE {driver.in_list('id')}"

    async def get_user(self, user_id: str) -> User | None:
        """Shares its query with the other calls of this turn of the event loop."""
        # One such id would fail the query of all.
        if not user_id.isprintable():
            return None
        return await self._lookups.get(user_id)

    async def _fetch_users(self, user_ids: list[str]) -> dict[str, User]:
        rows = await self._driver.read(self._users_by_id, self._driver.list_value(user_ids))
        return {row[0]: User(*row) for row in rows}

    async def find_credentials(self, username: str) -> Credentials | None:
        """By the key. What can't be a username is nobody's, without asking the database."""
        key = username_key(username)
        return None if key is None else await self._credentials("username_key", key)

    async def get_credentials(self, user_id: str) -> Credentials | None:
        """By id."""
        return await self._credentials("id", user_id)

    async def _credentials(self, column: str, value: str) -> Credentials | None:
        if not value.isprintable():
            return None
        sql = f"SELECT {USER}, password_hash, password_changed_at FROM users WHERE {column} = $1"
        rows = await self._driver.read(sql, value)
        return Credentials(User(*rows[0][:-2]), rows[0][-2], rows[0][-1]) if rows else None

    async def list_users(self, wanted: UserFilter) -> list[User]:
        """In user_search.py."""
        return await self._search.find(wanted)

    async def insert_user(self, user: NewUser) -> User:
        """The unique indexes decide who has the name, and the id; which of the two is looked at first is open."""
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> User:
            inserted = _user_of(await transaction.run(_INSERT_USER, *_insert_values(user)))
            if inserted is None:
                raise UsernameTaken
            await audit.write(transaction, created_note(user))
            return inserted

        return await self._driver.write(unit)

    async def insert_first_user(self, user: NewUser, before_commit: Callable[[], None] | None = None) -> bool:
        """Under a lock, since two empty tables look alike to two nodes."""
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> bool:
            await transaction.lock("first user")
            if await transaction.run("SELECT 1 FROM users LIMIT 1"):
                return False
            if not await transaction.run(_INSERT_USER, *_insert_values(user)):
                return False
            await audit.write(transaction, created_note(user))
            if before_commit is not None:
                before_commit()
            return True

        return await self._driver.write(unit)

    async def renew_password_hash(self, user_id: str, old_hash: str, new_hash: str) -> bool:
        """`password_changed_at` stays: it is the same password."""
        sql = "UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3 RETURNING id"
        return bool(await self._driver.write_one(sql, new_hash, user_id, old_hash))

    async def set_password(
        self,
        user_id: str,
        password_hash: str,
        expected_changed_at: int,
        *,
        keep_session_id: str | None,
        now: int,
        forget_at: int,
        event: AuditEvent = AuditEvent.PASSWORD_CHANGED,
    ) -> bool:
        """The new state differs from the old one even if the clock stood still."""
        sql = (
            "UPDATE users SET password_hash = $1, password_changed_at = $2, updated_at = $3 "
            "WHERE id = $4 AND password_changed_at = $5 RETURNING username"
        )
        changed_at = max(now, expected_changed_at + 1)
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> bool:
            rows = await transaction.run(sql, password_hash, changed_at, now, user_id, expected_changed_at)
            if not rows:
                return False
            ended = await self._sessions.end_all(transaction, user_id, keep_session_id, now, forget_at)
            note = AuditNote(event, now, user_id, rows[0][0], after={"sessions_ended": len(ended)})
            await audit.write(transaction, note)
            return True

        return await self._driver.write(unit)

    async def update_user(self, user_id: str, change: UserChange, now: int, forget_at: int) -> User | None:
        """Under a lock where an admin could be the last one."""
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> User | None:
            before = await self._lock_user(transaction, user_id, change.admin_roles)
            if before is None:
                return None
            after = _changed(before, change, now)
            if after == before:
                return before
            if _is_admin(before, change.admin_roles) and not _is_admin(after, change.admin_roles):
                await _require_other_admin(transaction, user_id, change.admin_roles)
            if after.disabled and not before.disabled:
                await self._sessions.end_all(transaction, user_id, None, now, forget_at)
            searched = search_text(after.username, after.name)
            rows = await transaction.run(
                _UPDATE_USER, after.name, searched, after.role, after.disabled_at, now, user_id
            )
            *updated, role_changed_at = rows[0]
            if after.role != before.role:
                await revoke_for_role(transaction, user_id, after.role, role_changed_at, forget_at)
            await audit.write(transaction, _changed_note(before, after, now))
            return User(*updated)

        return await self._driver.write(unit)

    async def delete_user(self, user_id: str, admin_roles: Sequence[str], now: int, forget_at: int) -> bool:
        """The sessions go with the user; what revokes their tokens stays."""
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> bool:
            before = await self._lock_user(transaction, user_id, admin_roles)
            if before is None:
                return False
            if _is_admin(before, admin_roles):
                await _require_other_admin(transaction, user_id, admin_roles)
            await self._sessions.end_all(transaction, user_id, None, now, forget_at)
            await transaction.run("DELETE FROM users WHERE id = $1", user_id)
            note = AuditNote(AuditEvent.USER_DELETED, now, user_id, before.username, before=_shown(before))
            await audit.write(transaction, note)
            return True

        return await self._driver.write(unit)

    async def _lock_user(self, transaction: Transaction, user_id: str, admin_roles: Sequence[str]) -> User | None:
        """The user, whose row nobody else changes until the unit ends.

        Two nodes that each take away one of the last two admins must see each other, so admins share a lock.
        """
        rows = await transaction.run(
            f"UPDATE users SET updated_at = updated_at WHERE id = $1 RETURNING {USER}", user_id
        )
        user = _user_of(rows)
        if user is not None and _is_admin(user, admin_roles):
            await transaction.lock("admins")
        return user


def _insert_values(user: NewUser) -> tuple[Any, ...]:
    return (
        user.id,
        user.username,
        key_of(user.username),
        user.name,
        search_text(user.username, user.name),
        user.role,
        user.password_hash,
        user.created_at,
        user.created_at,
        user.created_at,
    )


def created_note(user: NewUser) -> AuditNote:
    """What the audit log says of a new user."""
    after: dict[str, Value] = {"name": user.name, "role": user.role, "password": user.password_hash is not None}
    return AuditNote(AuditEvent.USER_CREATED, user.created_at, user.id, user.username, after=after)


def _changed_note(before: User, after: User, now: int) -> AuditNote:
    """Only what differs."""
    old, new = _shown(before), _shown(after)
    changed = [name for name in old if old[name] != new[name]]
    return AuditNote(
        AuditEvent.USER_CHANGED,
        now,
        before.id,
        before.username,
        before={name: old[name] for name in changed},
        after={name: new[name] for name in changed},
    )


def _shown(user: User) -> dict[str, Value]:
    return {"name": user.name, "role": user.role, "disabled": user.disabled}


def _user_of(rows: Iterable[Row]) -> User | None:
    return next((User(*row) for row in rows), None)


def _changed(user: User, change: UserChange, now: int) -> User:
    disabled_at = user.disabled_at
    if change.disabled is not None:
        disabled_at = (disabled_at or now) if change.disabled else None
    return replace(user, name=change.name or user.name, role=change.role or user.role, disabled_at=disabled_at)


def _is_admin(user: User, admin_roles: Sequence[str]) -> bool:
    return user.role in admin_roles and not user.disabled


async def _require_other_admin(transaction: Transaction, user_id: str, admin_roles: Sequence[str]) -> None:
    places = ", ".join(f"${number}" for number in range(2, len(admin_roles) + 2))
    sql = f"SELECT 1 FROM users WHERE id <> $1 AND disabled_at IS NULL AND role IN ({places}) LIMIT 1"
    if not await transaction.run(sql, user_id, *admin_roles):
        raise LastAdmin
