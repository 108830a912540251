from __future__ import annotations

import asyncio

import pytest

from server.core.errors import NotFound
from server.repositories import Repositories
from server.sessions.model import MEMORY_MS
from tests.records import (
    NOW,
    add_user,
    all_revocations,
    change_user,
    delete_user,
    end_session,
    end_sessions_of,
    id_of,
    new_user,
    open_session,
    session,
)
from tests.stores import OpenStore


@pytest.fixture
async def opened(store: Repositories) -> Repositories:
    """A store in which user 1 has session 10, at step 0."""
    await add_user(store, new_user(1))
    assert await open_session(store, session(10, 1), NOW)
    return store


async def step_of(store: Repositories, number: int = 10) -> int:
    found = await store.sessions.get_session(id_of(number))
    assert found is not None
    return found.session.step


async def test_a_step_moves_the_chain_and_the_idle_expiry(opened: Repositories) -> None:
    stepped = await opened.sessions.step_session(id_of(10), 0, NOW + 100, NOW + 1100)
    assert stepped is not None
    found = stepped.session
    assert (found.step, found.stepped_at, found.idle_expires_at, found.expires_at) == (
        1,
        NOW + 100,
        NOW + 1100,
        NOW + 9000,
    )
    assert (stepped.username, stepped.role) == ("user1", "customer")
    assert await opened.sessions.get_session(id_of(10)) == stepped


async def test_the_idle_expiry_never_passes_the_absolute_one(opened: Repositories) -> None:
    stepped = await opened.sessions.step_session(id_of(10), 0, NOW + 100, NOW + 99_000)
    assert stepped is not None
    assert stepped.session.idle_expires_at == NOW + 9000


async def test_a_step_without_a_new_idle_expiry_keeps_the_one_that_is_there(opened: Repositories) -> None:
    before = await opened.sessions.get_session(id_of(10))
    stepped = await opened.sessions.step_session(id_of(10), 0, NOW + 100, None)
    assert before is not None
    assert stepped is not None
    assert (stepped.session.step, stepped.session.idle_expires_at) == (1, before.session.idle_expires_at)


@pytest.mark.parametrize("step", [-1, 1, 2, 2**62])
async def test_no_other_step_moves_it(opened: Repositories, step: int) -> None:
    assert await opened.sessions.step_session(id_of(10), step, NOW, NOW + 1000) is None
    assert await step_of(opened) == 0


async def test_an_expired_session_takes_no_step(opened: Repositories) -> None:
    assert await opened.sessions.step_session(id_of(10), 0, NOW + 1000, NOW + 2000) is None
    assert await opened.sessions.step_session(id_of(10), 0, NOW + 999, NOW + 2000) is not None


async def test_an_ended_session_takes_no_step(opened: Repositories) -> None:
    assert await end_session(opened, id_of(10), None, NOW + 1)
    assert await opened.sessions.step_session(id_of(10), 0, NOW + 2, NOW + 1000) is None


@pytest.mark.parametrize("session_id", ["", "nothing", "\0", "\ud800", "é" * 100])
async def test_what_is_no_session_is_not_there(opened: Repositories, session_id: str) -> None:
    assert await opened.sessions.get_session(session_id) is None


async def test_simultaneous_steps_take_one(opened: Repositories, open_another: OpenStore) -> None:
    """50 uses of one step, on two connections as two processes have them, 200 rounds."""
    second = await open_another()
    for step in range(200):
        now = NOW + step
        stepped = await asyncio.gather(
            *(
                (opened, second)[number % 2].sessions.step_session(id_of(10), step, now, now + 1000)
                for number in range(50)
            )
        )
        winners = [found for found in stepped if found is not None]
        assert [found.session.step for found in winners] == [step + 1]
    assert await step_of(opened) == 200


async def test_a_session_stays_one_row(opened: Repositories) -> None:
    for step in range(20):
        assert await opened.sessions.step_session(id_of(10), step, NOW + step, NOW + 1000)
    assert len(await opened.sessions.list_sessions(id_of(1), NOW)) == 1


async def test_ending_is_done_once(opened: Repositories) -> None:
    ended = await asyncio.gather(*(end_session(opened, id_of(10), None, NOW + 1) for _ in range(10)))
    assert sorted(ended) == [False] * 9 + [True]
    found = await opened.sessions.get_session(id_of(10))
    assert found is not None
    assert found.session.ended_at == NOW + 1


async def test_nobody_ends_a_session_of_somebody_else(opened: Repositories) -> None:
    await add_user(opened, new_user(2))
    assert await end_session(opened, id_of(10), id_of(2), NOW + 1) is False
    assert await end_session(opened, id_of(10), id_of(1), NOW + 1) is True


async def test_ending_all_but_one(opened: Repositories) -> None:
    await add_user(opened, new_user(2))
    for number, user in ((11, 1), (12, 1), (20, 2)):
        assert await open_session(opened, session(number, user), NOW)
    assert await end_sessions_of(opened, id_of(1), id_of(11), NOW + 1) == 2
    assert [found.id for found in await opened.sessions.list_sessions(id_of(1), NOW + 1)] == [id_of(11)]
    assert [found.id for found in await opened.sessions.list_sessions(id_of(2), NOW + 1)] == [id_of(20)]
    assert await end_sessions_of(opened, id_of(1), None, NOW + 2) == 1


async def test_the_list_has_the_living_sessions_the_newest_first(opened: Repositories) -> None:
    assert await open_session(opened, session(11, 1), NOW)
    assert await open_session(opened, session(12, 1, idle_expires_at=NOW + 50), NOW)
    assert [found.id for found in await opened.sessions.list_sessions(id_of(1), NOW)] == [
        id_of(12),
        id_of(11),
        id_of(10),
    ]
    assert [found.id for found in await opened.sessions.list_sessions(id_of(1), NOW + 50)] == [id_of(11), id_of(10)]


async def test_disabling_ends_all_sessions(opened: Repositories) -> None:
    await change_user(opened, id_of(1), NOW + 1, disabled=True)
    assert await opened.sessions.list_sessions(id_of(1), NOW + 1) == []
    assert await open_session(opened, session(11, 1), NOW) is None
    # Enabling lets the user log in again, and brings nothing back.
    await change_user(opened, id_of(1), NOW + 2, disabled=False)
    assert await opened.sessions.list_sessions(id_of(1), NOW + 2) == []
    assert await open_session(opened, session(11, 1), NOW) is not None


async def test_deleting_a_user_takes_the_sessions_along(opened: Repositories) -> None:
    await delete_user(opened, id_of(1), NOW + 1)
    assert await opened.sessions.get_session(id_of(10)) is None
    assert await opened.sessions.step_session(id_of(10), 0, NOW + 1, NOW + 1000) is None
    with pytest.raises(NotFound):
        await delete_user(opened, id_of(1), NOW + 1)


async def test_disabling_and_steps_at_once(opened: Repositories) -> None:
    """Whichever comes first, the session is over behind it."""
    await asyncio.gather(
        *(opened.sessions.step_session(id_of(10), 0, NOW + 1, NOW + 1000) for _ in range(5)),
        change_user(opened, id_of(1), NOW + 1, disabled=True),
    )
    assert await opened.sessions.step_session(id_of(10), await step_of(opened), NOW + 2, NOW + 1000) is None


async def test_purging_goes_in_steps_and_leaves_the_living(opened: Repositories) -> None:
    for number in range(20, 25):
        assert await open_session(opened, session(number, 1, idle_expires_at=NOW + 100), NOW)
    assert await end_session(opened, id_of(20), None, NOW + 1)
    # The ended one is over since NOW + 1.
    assert await opened.sessions.purge(NOW + 99, 2) == 1
    assert await opened.sessions.get_session(id_of(20)) is None
    assert [await opened.sessions.purge(NOW + 100, 3) for _ in range(3)] == [3, 1, 0]
    assert [found.id for found in await opened.sessions.list_sessions(id_of(1), NOW)] == [id_of(10)]
    assert [await opened.sessions.purge_revocations(NOW + ahead + MEMORY_MS, 3) for ahead in range(3)] == [0, 1, 0]
    assert await all_revocations(opened) == []
