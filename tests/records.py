"""Records to put into a store."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from server.audit.model import AuditEvent
from server.database.driver import Transaction
from server.keys.model import KeyRecord
from server.registration.model import Invitation
from server.repositories import Repositories
from server.sessions.ended_sessions import TIME_BASE
from server.sessions.model import Revocation, RevocationPage, Session, UserSession
from server.users.model import Credentials, User, UserFilter, new_account
from tests.accounts import importer_on, passwords_on, sessions_on, users_on
from tests.clock import FakeClock

NOW = 1_790_000_000_000


def id_of(number: int) -> str:
    """Ids in the order of their numbers."""
    return f"01990000-0000-7000-8000-{number:012d}"


def new_user(number: int, **changes: Any) -> Credentials:
    account: dict[str, Any] = {
        "user_id": id_of(number),
        "username": f"user{number}",
        "name": f"Name {number}",
        "role": "customer",
        "password_hash": "hash",
        "now": NOW,
    }
    return new_account(**(account | changes))


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
        authenticated_at=NOW + 5,
        amr=("pwd",),
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


def invitation(number: int, **changes: Any) -> Invitation:
    """For one use, good for a second."""
    made = Invitation(
        id=id_of(number),
        role="customer",
        email=None,
        uses=1,
        used=0,
        created_by=None,
        created_at=NOW,
        expires_at=NOW + 1000,
    )
    return replace(made, **changes)


async def add_invitations(store: Repositories, *made: Invitation) -> None:
    async def unit(transaction: Transaction) -> None:
        for one in made:
            await store.invitations.insert(transaction, one)

    await store.driver.write(unit)


async def add_user(store: Repositories, new: Credentials) -> User:
    """As the service does it, with its audit record. Raises UsernameTaken."""
    await users_on(store, NOW).add(new)
    return new.user


async def add_first_user(store: Repositories, new: Credentials) -> bool:
    return await users_on(store, NOW).add_first(new)


async def change_user(store: Repositories, user_id: str, now: int, **changes: Any) -> User:
    """As the service does it, with its audit record. Raises NotFound, LastAdmin."""
    return await users_on(store, now).update(user_id, **changes)


async def rename(store: Repositories, number: int, name: str, now: int) -> User:
    return await change_user(store, id_of(number), now, name=name)


async def delete_user(store: Repositories, user_id: str, now: int) -> None:
    """As the service does it, with its audit record. Raises NotFound, LastAdmin."""
    await users_on(store, now).delete(user_id)


async def set_password(
    store: Repositories, number: int, new_hash: str, expected: int, now: int, *, keep_session_id: str | None = None
) -> bool:
    """`expected`: when the password was changed last, as the caller knows it."""
    known = new_user(number, now=expected)
    return await passwords_on(store, now).set_hash(known, new_hash, keep_session_id=keep_session_id)


async def import_users(store: Repositories, accounts: Sequence[Credentials], now: int) -> list[User | None]:
    """For each account that was not made, who is in the way."""
    return await importer_on(store, FakeClock(now)).insert(accounts)


async def open_session(store: Repositories, opened: Session, password_changed_at: int) -> UserSession | None:
    return await sessions_on(store, NOW).add(opened, password_changed_at)


async def end_session(
    store: Repositories,
    session_id: str,
    user_id: str | None,
    now: int,
    *,
    event: AuditEvent = AuditEvent.SESSIONS_ENDED,
) -> bool:
    return await sessions_on(store, now).end_living(session_id, user_id, event)


async def end_sessions_of(store: Repositories, user_id: str, keep_session_id: str | None, now: int) -> int:
    return await sessions_on(store, now).end_all(user_id, keep_session_id)


async def read_to_the_end(store: Repositories, cursor: str) -> tuple[RevocationPage, list[Revocation]]:
    """The last page of revocations since then, and what was in all of them; the number of a packed one is 0."""
    found: list[Revocation] = []
    while True:
        page = await store.sessions.revocations_since(cursor)
        cursor = page.cursor
        found += page.revocations
        for start in range(0, len(page.ended), 24):
            session_id, until = page.ended[start : start + 16], int(page.ended[start + 16 : start + 24].hex())
            found.append(Revocation(0, str(uuid.UUID(bytes=session_id)), None, None, 0, until - TIME_BASE))
        if not page.more:
            return page, found


async def all_revocations(store: Repositories) -> list[Revocation]:
    return (await read_to_the_end(store, "0"))[1]


async def all_users(store: Repositories) -> list[User]:
    return await store.users.list_users(UserFilter(limit=10_000))


async def usernames(store: Repositories) -> set[str]:
    return {user.username for user in await all_users(store)}
