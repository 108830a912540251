from __future__ import annotations

import asyncio

from server.repositories import Repositories
from server.sessions.model import UserSession
from tests.records import (
    NOW,
    add_user,
    all_revocations,
    end_sessions_of,
    id_of,
    new_user,
    open_session,
    session,
    set_password,
)


async def test_opening_a_session_records_the_login(store: Repositories) -> None:
    await add_user(store, new_user(1))
    opened = session(10, 1)
    assert await open_session(store, opened, NOW) == UserSession(opened, "user1", "customer", 0)
    assert await store.sessions.get_session(id_of(10)) == UserSession(opened, "user1", "customer", 0)
    user = await store.users.get_user(id_of(1))
    assert user is not None
    assert (user.last_login_at, user.updated_at) == (opened.created_at, NOW)


async def test_what_a_client_did_not_say_stays_unsaid(store: Repositories) -> None:
    await add_user(store, new_user(1))
    opened = session(10, 1, ip=None, user_agent=None)
    await open_session(store, opened, NOW)
    assert await store.sessions.get_session(id_of(10)) == UserSession(opened, "user1", "customer", 0)


async def test_no_session_without_user(store: Repositories) -> None:
    assert await open_session(store, session(10, 1), NOW) is None
    assert await store.sessions.get_session(id_of(10)) is None


async def test_no_session_for_a_password_that_was_changed(store: Repositories) -> None:
    await add_user(store, new_user(1))
    assert await set_password(store, 1, "new", NOW, NOW + 1)
    assert await open_session(store, session(10, 1), NOW) is None
    assert await store.sessions.get_session(id_of(10)) is None
    user = await store.users.get_user(id_of(1))
    assert user is not None
    assert user.last_login_at is None


async def test_many_sessions_of_one_user(store: Repositories) -> None:
    """A page of the list is bounded and tells where the next one begins; what ends all of them is not bounded."""
    count = 205
    await add_user(store, new_user(1))
    # Logins of one user wait for each other, and a caller waits for a connection only so long.
    for start in range(1, count + 1, 100):
        numbers = range(start, min(start + 100, count + 1))
        await asyncio.gather(*(open_session(store, session(number, 1), NOW) for number in numbers))
    listed: list[str] = []
    while page := await store.sessions.list_sessions(id_of(1), NOW, 100, *listed[-1:]):
        assert len(page) <= 100
        listed += [found.id for found in page]
    assert listed == [id_of(number) for number in range(count, 0, -1)]
    assert await end_sessions_of(store, id_of(1), id_of(7), NOW + 1) == count - 1
    assert [found.id for found in await store.sessions.list_sessions(id_of(1), NOW)] == [id_of(7)]
    revoked = await all_revocations(store)
    assert {found.session_id for found in revoked} == {id_of(number) for number in range(1, count + 1)} - {id_of(7)}
    assert len(revoked) == count - 1


async def test_logins_and_a_password_change_at_once(store: Repositories) -> None:
    await add_user(store, new_user(1))
    *opened, changed = await asyncio.gather(
        *(open_session(store, session(number, 1), NOW) for number in range(10, 30)),
        set_password(store, 1, "new", NOW, NOW + 1),
    )
    assert changed
    sessions = [await store.sessions.get_session(id_of(number)) for number in range(10, 30)]
    assert [found is not None for found in sessions] == [login is not None for login in opened]
    # The change ended those that came before it, and let none in behind it.
    assert all(found.session.ended_at == NOW + 1 for found in sessions if found is not None)
    assert await open_session(store, session(50, 1), NOW) is None
    assert await open_session(store, session(51, 1), NOW + 1) is not None
