from __future__ import annotations

import asyncio
from typing import Any

import pytest

from server.repositories import Repositories
from server.sessions.model import MEMORY_MS, Revocation
from server.users.errors import LastAdmin
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
    read_to_the_end,
    session,
    set_password,
)
from tests.stores import OpenStore


async def with_sessions(store: Repositories, *numbers: int) -> None:
    await add_user(store, new_user(1))
    for number in numbers:
        assert await open_session(store, session(number, 1), NOW)


async def ended_since(store: Repositories, cursor: str = "0") -> set[str | None]:
    return {found.session_id for found in (await read_to_the_end(store, cursor))[1]}


async def test_at_first_there_is_none(store: Repositories) -> None:
    assert await all_revocations(store) == []


async def test_every_way_to_end_a_session_revokes_it(store: Repositories) -> None:
    await with_sessions(store, 10, 11, 12, 13, 14)
    await end_session(store, id_of(10), id_of(1), NOW + 1)
    told = await all_revocations(store)
    assert [(found.session_id, found.forget_at) for found in told] == [(id_of(10), NOW + 1 + MEMORY_MS)]
    await end_sessions_of(store, id_of(1), id_of(14), NOW + 2)
    assert await ended_since(store) == {id_of(10), id_of(11), id_of(12), id_of(13)}
    assert await set_password(store, 1, "new", NOW, NOW + 3)
    assert id_of(14) in await ended_since(store)


async def test_a_password_change_keeps_the_session_that_made_it(store: Repositories) -> None:
    await with_sessions(store, 10, 11)
    assert await set_password(store, 1, "new", NOW, NOW + 1, keep_session_id=id_of(11))
    assert await ended_since(store) == {id_of(10)}


async def test_disabling_and_deleting_revoke(store: Repositories) -> None:
    await with_sessions(store, 10)
    await add_user(store, new_user(2))
    await open_session(store, session(20, 2), NOW)
    await change_user(store, id_of(1), NOW + 1, disabled=True)
    await delete_user(store, id_of(2), NOW + 1)
    assert await ended_since(store) == {id_of(10), id_of(20)}


async def test_a_new_role_is_told_and_the_session_goes_on(store: Repositories) -> None:
    await with_sessions(store, 10)
    await add_user(store, new_user(2, role="admin"))
    # The clock may stand still, or go back; the times of the changes rise all the same.
    for role in ("admin", "customer", "admin"):
        changed = await change_user(store, id_of(1), NOW + 1, role=role)
        assert changed.role == role
    told = await all_revocations(store)
    assert [found._replace(number=0) for found in told] == [
        Revocation(0, None, id_of(1), "admin", NOW + 1, NOW + 1 + MEMORY_MS),
        Revocation(0, None, id_of(1), "customer", NOW + 2, NOW + 1 + MEMORY_MS),
        Revocation(0, None, id_of(1), "admin", NOW + 3, NOW + 1 + MEMORY_MS),
    ]
    assert told[0].number < told[1].number < told[2].number
    stepped = await store.sessions.step_session(id_of(10), 0, NOW + 1, NOW + 1000)
    assert stepped is not None
    assert (stepped.role, stepped.role_changed_at) == ("admin", NOW + 3)
    assert len(await store.sessions.list_sessions(id_of(1), NOW)) == 1


async def test_the_same_role_or_another_name_revokes_nothing(store: Repositories) -> None:
    await with_sessions(store, 10)
    await change_user(store, id_of(1), NOW + 1, name="New", role="customer")
    assert await all_revocations(store) == []


async def test_reading_on_misses_nothing_while_others_write(store: Repositories, open_another: OpenStore) -> None:
    """Transactions do not commit in the order in which they began."""
    second = await open_another()
    numbers = range(100, 300)
    await with_sessions(store, *numbers)
    seen: set[str | None] = set()
    cursor = "0"
    done = asyncio.Event()

    async def follow() -> None:
        nonlocal cursor
        while True:
            finished = done.is_set()
            page, told = await read_to_the_end(store, cursor)
            cursor = page.cursor
            seen.update(found.session_id for found in told)
            if finished:
                return

    async def write() -> None:
        await asyncio.gather(
            *(end_session((store, second)[number % 2], id_of(number), None, NOW + 1) for number in numbers)
        )
        done.set()

    await asyncio.gather(follow(), write())
    assert seen == {id_of(number) for number in numbers}


async def test_the_cursor_does_not_go_back_when_all_is_purged(store: Repositories) -> None:
    await with_sessions(store, 10, 11)
    await end_session(store, id_of(10), None, NOW)
    cursor = (await store.sessions.revocations_since("0")).cursor
    assert await store.sessions.purge_revocations(NOW + MEMORY_MS, 100) == 1
    await end_session(store, id_of(11), None, NOW + 2)
    assert await ended_since(store, cursor) == {id_of(11)}


async def test_a_change_elsewhere_ends_the_wait(store: Repositories, open_another: OpenStore) -> None:
    second = await open_another()
    await with_sessions(store, 10)
    # The first wait may end for what was before.
    await store.driver.wait_for_change(0.3)
    waiting = asyncio.ensure_future(store.driver.wait_for_change(60))
    await end_session(second, id_of(10), None, NOW)
    # Long before its own end.
    await asyncio.wait_for(waiting, 30)


async def test_the_wait_ends_at_its_timeout(store: Repositories) -> None:
    await asyncio.wait_for(store.driver.wait_for_change(0.05), 30)


@pytest.mark.parametrize("change", [{"role": "customer"}, {"disabled": True}])
async def test_the_last_admin_stays(store: Repositories, change: dict[str, Any]) -> None:
    await add_user(store, new_user(1, role="admin"))
    await add_user(store, new_user(2, role="customer"))
    with pytest.raises(LastAdmin):
        await change_user(store, id_of(1), NOW, **change)
    with pytest.raises(LastAdmin):
        await delete_user(store, id_of(1), NOW)
    unchanged = await store.users.get_user(id_of(1))
    assert unchanged is not None
    assert (unchanged.role, unchanged.disabled_at) == ("admin", None)
    # A role that includes admin counts, and so does the same change once there is another one.
    await add_user(store, new_user(3, role="owner"))
    await change_user(store, id_of(1), NOW, **change)


async def test_a_disabled_admin_is_no_other_admin(store: Repositories) -> None:
    for number in (1, 2):
        await add_user(store, new_user(number, role="admin"))
    await change_user(store, id_of(2), NOW, disabled=True)
    with pytest.raises(LastAdmin):
        await change_user(store, id_of(1), NOW, disabled=True)
    # The disabled one may go.
    await delete_user(store, id_of(2), NOW)


async def test_of_two_last_admins_that_go_at_once_one_stays(store: Repositories, open_another: OpenStore) -> None:
    second = await open_another()
    remaining = id_of(1)
    await add_user(store, new_user(1, role="admin"))
    for number in range(2, 12):
        added = id_of(number)
        await add_user(store, new_user(number, role="admin"))
        demoted, deleted = await asyncio.gather(
            change_user(store, remaining, NOW, role="customer"),
            delete_user(second, added, NOW),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in (demoted, deleted)].count(LastAdmin) == 1
        remaining = remaining if isinstance(demoted, LastAdmin) else added
