from __future__ import annotations

import asyncio
from typing import Any

import pytest

from server.background import purge
from server.core.ids import LAST_ID
from server.database.driver import Transaction
from server.registration.model import AHEAD_MS, Invitation
from server.repositories import Repositories
from tests.clock import FakeClock
from tests.records import NOW, add_invitations, id_of, invitation
from tests.stores import OpenStore


async def use(store: Repositories, number: int, now: int = NOW) -> Invitation | None:
    async def unit(transaction: Transaction) -> Invitation | None:
        return await store.invitations.use(transaction, id_of(number), now)

    return await store.driver.write(unit)


async def withdraw(store: Repositories, number: int, now: int = NOW) -> Invitation | None:
    async def unit(transaction: Transaction) -> Invitation | None:
        return await store.invitations.withdraw(transaction, id_of(number), now)

    return await store.driver.write(unit)


async def test_an_invitation_is_kept_as_it_was_made(store: Repositories) -> None:
    made = invitation(1, role="admin", email="lak@example.com", uses=7, created_by=id_of(9))
    await add_invitations(store, made)
    assert await store.invitations.get(id_of(1)) == made
    assert await store.invitations.get(id_of(2)) is None


async def test_it_is_used_as_often_as_it_says(store: Repositories) -> None:
    await add_invitations(store, invitation(1, uses=2), invitation(2))
    assert await use(store, 1) == invitation(1, uses=2, used=1)
    assert await use(store, 1) == invitation(1, uses=2, used=2)
    assert await use(store, 1) is None
    assert await store.invitations.get(id_of(1)) == invitation(1, uses=2, used=2)
    assert await store.invitations.get(id_of(2)) == invitation(2)
    assert await use(store, 3) is None


async def test_it_is_not_used_before_its_time_nor_after(store: Repositories) -> None:
    """The clock of who made it may be a little ahead, and not a year."""
    await add_invitations(store, invitation(1, uses=9))
    assert await use(store, 1, NOW + 1000) is None
    assert await use(store, 1, NOW + 999)
    assert await use(store, 1, NOW - AHEAD_MS)
    assert await use(store, 1, NOW - AHEAD_MS - 1) is None


@pytest.mark.parametrize(
    ("changes", "now"),
    [
        ({}, NOW),
        ({"used": 1}, NOW),
        ({}, NOW + 1000),
        ({}, NOW + 999),
        ({}, NOW - AHEAD_MS),
        ({}, NOW - AHEAD_MS - 1),
        ({"withdrawn_at": NOW}, NOW),
    ],
)
async def test_the_record_tells_what_the_statement_does(store: Repositories, changes: dict[str, Any], now: int) -> None:
    made = invitation(1, **changes)
    await add_invitations(store, made)
    assert (await use(store, 1, now) is not None) is (made.state(now) == "open")


async def test_a_withdrawn_one_is_withdrawn_once_and_not_used(store: Repositories) -> None:
    await add_invitations(store, invitation(1), invitation(2))
    assert await withdraw(store, 1, NOW + 5) == invitation(1, withdrawn_at=NOW + 5)
    assert await withdraw(store, 1, NOW + 6) is None
    assert await use(store, 1) is None
    assert await use(store, 2)
    assert await withdraw(store, 3) is None


async def test_of_simultaneous_uses_at_two_nodes_as_many_succeed_as_there_are(
    store: Repositories, open_another: OpenStore
) -> None:
    stores = [store, await open_another()]
    await add_invitations(store, invitation(1, uses=3))
    uses = await asyncio.gather(*(use(stores[n % 2], 1) for n in range(50)))
    assert sorted(used.used for used in uses if used is not None) == [1, 2, 3]


async def test_a_use_whose_transaction_fails_is_not_counted(store: Repositories) -> None:
    await add_invitations(store, invitation(1))

    async def unit(transaction: Transaction) -> None:
        assert await store.invitations.use(transaction, id_of(1), NOW)
        raise LookupError

    with pytest.raises(LookupError):
        await store.driver.write(unit)
    assert await store.invitations.get(id_of(1)) == invitation(1)


async def test_the_list_has_the_newest_first_and_goes_on_where_it_ended(store: Repositories) -> None:
    made = [invitation(number) for number in range(5)]
    await add_invitations(store, *made)
    assert await store.invitations.list_invitations(3, LAST_ID) == made[:1:-1]
    assert await store.invitations.list_invitations(3, id_of(2)) == [made[1], made[0]]


async def test_what_expired_is_kept_for_30_days(store: Repositories) -> None:
    month = 30 * 86_400_000
    await add_invitations(store, invitation(1), invitation(2, expires_at=NOW + 1001), invitation(3, withdrawn_at=NOW))
    clock = FakeClock(NOW + 1000 + month - 1)
    await purge(store, clock)
    assert len(await store.invitations.list_invitations(9, LAST_ID)) == 3
    clock.advance(0.001)
    await purge(store, clock)
    assert [each.id for each in await store.invitations.list_invitations(9, LAST_ID)] == [id_of(2)]


async def test_old_ones_go_in_steps(store: Repositories) -> None:
    await add_invitations(store, *(invitation(number, expires_at=NOW + number) for number in range(5)))
    assert await store.invitations.purge(NOW + 3, 3) == 3
    assert await store.invitations.purge(NOW + 3, 3) == 1
    assert await store.invitations.purge(NOW + 3, 3) == 0
    assert [each.id for each in await store.invitations.list_invitations(9, LAST_ID)] == [id_of(4)]
