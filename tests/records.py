"""Records to put into a store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from server.core.errors import NotFound
from server.keys.model import KeyRecord
from server.repositories import Repositories
from server.sessions.model import Session
from server.sessions.revocation import MEMORY_MS
from server.users.model import NewUser, User, UserChange, UserFilter

NOW = 1_790_000_000_000
# The roles that make an admin.
ADMINS = ("admin", "owner")


def id_of(number: int) -> str:
    """Ids in the order of their numbers."""
    return f"01990000-0000-7000-8000-{number:012d}"


def new_user(number: int, **changes: Any) -> NewUser:
    user = NewUser(
        id=id_of(number),
        username=f"user{number}",
        name=f"Name {number}",
        role="customer",
        password_hash="hash",
        created_at=NOW,
    )
    return replace(user, **changes)


def session(number: int, user_number: int, **changes: Any) -> Session:
    opened = Session(
        id=id_of(number),
        user_id=id_of(user_number),
        step=0,
        created_at=NOW + 5,
        stepped_at=NOW + 5,
        idle_expires_at=NOW + 1000,
        expires_at=NOW + 9000,
        ip="192.0.2.1",
        user_agent="curl/8",
    )
    return replace(opened, **changes)


def key(number: int, **changes: Any) -> KeyRecord:
    made = KeyRecord(
        kid=f"key{number}",
        algorithm="ES256",
        public_jwk='{"kty":"EC"}',
        sealed=bytes(range(256)),
        created_at=NOW + number,
        activates_at=NOW + 100 - number,
        longest_ttl_seconds=300,
    )
    return replace(made, **changes)


async def add_user(store: Repositories, user: NewUser) -> User:
    """As the service does it, with its audit record. Raises UsernameTaken."""
    return await store.users.insert_user(user)


async def add_first_user(store: Repositories, user: NewUser) -> bool:
    return await store.users.insert_first_user(user)


async def change_user(
    store: Repositories,
    user_id: str,
    now: int,
    *,
    name: str | None = None,
    role: str | None = None,
    disabled: bool | None = None,
) -> User:
    """As the service does it, with its audit record. Raises NotFound, LastAdmin."""
    changed = await store.users.update_user(user_id, UserChange(ADMINS, name, role, disabled), now, now + MEMORY_MS)
    if changed is None:
        raise NotFound
    return changed


async def rename(store: Repositories, number: int, name: str, now: int) -> User:
    return await change_user(store, id_of(number), now, name=name)


async def delete_user(store: Repositories, user_id: str, now: int) -> None:
    """As the service does it, with its audit record. Raises NotFound, LastAdmin."""
    if not await store.users.delete_user(user_id, ADMINS, now, now + MEMORY_MS):
        raise NotFound


async def set_password(
    store: Repositories, number: int, new_hash: str, expected: int, now: int, *, keep_session_id: str | None = None
) -> bool:
    return await store.users.set_password(
        id_of(number), new_hash, expected, keep_session_id=keep_session_id, now=now, forget_at=now + MEMORY_MS
    )


async def all_users(store: Repositories) -> list[User]:
    return await store.users.list_users(UserFilter(limit=10_000))


async def usernames(store: Repositories) -> set[str]:
    return {user.username for user in await all_users(store)}
