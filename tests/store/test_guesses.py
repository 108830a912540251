from __future__ import annotations

import asyncio

import pytest

from server.errors import TooManyAttempts
from server.store.guess_queries import LONGEST_WAIT_MS, wait_after
from server.store.protocol import Store
from server.store.records import Budget, GuessCounter, Try
from tests.store.conftest import OpenStore
from tests.store.examples import NOW

ACCOUNT = GuessCounter("account:a", 70, 20)
# Ten at once, and one more each minute.
ADDRESS = Budget("address:a", 60_000, 600_000)
BOTH = Try((ACCOUNT,), (ADDRESS,))


async def taken(store: Store, wanted: Try, now: int = NOW) -> bool:
    try:
        await store.take_try(wanted, now)
    except TooManyAttempts:
        return False
    return True


async def wait_of(store: Store, wanted: Try, now: int) -> int:
    with pytest.raises(TooManyAttempts) as refused:
        await store.take_try(wanted, now)
    return refused.value.retry_after_seconds


async def test_a_counter_takes_its_limit_and_no_more_however_many_come_at_once(
    store: Store, open_another: OpenStore
) -> None:
    stores = [store, await open_another()]
    wanted = Try((ACCOUNT,))
    done = await asyncio.gather(*(taken(stores[number % 2], wanted) for number in range(150)))
    assert done.count(True) == 70
    assert await wait_of(store, wanted, NOW) == LONGEST_WAIT_MS // 1000
    # It does not refill by time.
    assert not await taken(store, wanted, NOW + 365 * 86_400_000)


async def test_a_budget_takes_what_is_in_it_and_refills(store: Store) -> None:
    wanted = Try((), (ADDRESS,))
    assert [await taken(store, wanted) for _ in range(12)] == [True] * 10 + [False] * 2
    assert await wait_of(store, wanted, NOW) == 60
    assert await wait_of(store, wanted, NOW + 59_001) == 1
    assert await taken(store, wanted, NOW + 60_000)
    assert not await taken(store, wanted, NOW + 60_000)
    later = NOW + 60_000 + 3_600_000
    assert [await taken(store, wanted, later) for _ in range(11)] == [True] * 10 + [False]


async def test_a_try_is_counted_everywhere_or_nowhere(store: Store) -> None:
    narrow = Try((GuessCounter("account:b", 1, 1),), (ADDRESS,))
    assert await taken(store, narrow)
    for _ in range(20):
        assert not await taken(store, narrow)
    # The refused ones have cost the address nothing.
    assert [await taken(store, Try((), (ADDRESS,))) for _ in range(10)] == [True] * 9 + [False]


async def test_behind_the_free_failures_each_wait_is_twice_as_long(store: Store) -> None:
    wanted = Try((GuessCounter("account:c", 100, 3),))
    now = NOW
    waits = []
    for _ in range(20):
        assert await taken(store, wanted, now)
        await store.note_failure(wanted, now)
        waits.append(0 if await taken(store, wanted, now) else await wait_of(store, wanted, now))
        now += waits[-1] * 1000
    assert waits[:6] == [0, 0, 1, 2, 4, 8]
    assert waits[-1] == 900
    assert [wait_after(failures, 3) for failures in (2, 3, 4, 12, 13, 10_000)] == [
        0,
        1000,
        2000,
        512_000,
        900_000,
        900_000,
    ]


async def test_a_clock_that_was_far_ahead_shuts_nobody_out_when_it_is_right_again(store: Store) -> None:
    wanted = Try((GuessCounter("account:e", 10, 1),), (ADDRESS,))
    month = 30 * 86_400_000
    assert await taken(store, wanted, NOW + month)
    await store.note_failure(wanted, NOW + month)
    assert await taken(store, wanted, NOW)
    await store.note_failure(wanted, NOW)
    # What was written since holds, and the limit counts them all.
    assert not await taken(store, wanted, NOW)
    later = NOW
    for _ in range(8):
        later += 3_600_000
        assert await taken(store, wanted, later)
    assert not await taken(store, wanted, later + 3_600_000)


async def test_clocks_that_differ_by_seconds_let_nobody_guess_more(store: Store) -> None:
    ahead = NOW + 30_000
    while await taken(store, Try((), (ADDRESS,)), ahead):
        pass
    assert not await taken(store, Try((), (ADDRESS,)), NOW)


async def test_what_was_no_guess_is_given_back(store: Store) -> None:
    for _ in range(100):
        assert await taken(store, BOTH)
        await store.give_back(BOTH)
    # Also if somebody has begun the counter anew meanwhile.
    await store.settle([], [ACCOUNT])
    await store.give_back(Try((ACCOUNT,)))
    assert [await taken(store, Try((ACCOUNT,))) for _ in range(71)] == [True] * 70 + [False]
    await store.settle([], [ACCOUNT])
    await store.take_try(Try((ACCOUNT,)), NOW)
    for _ in range(3):
        await store.give_back(Try((ACCOUNT,)))
    assert [await taken(store, Try((ACCOUNT,))) for _ in range(71)] == [True] * 70 + [False]


async def test_counters_that_are_forgotten_begin_anew_and_others_stay(store: Store) -> None:
    other = GuessCounter("account:d", 1, 1)
    assert await taken(store, Try((other,)))
    for _ in range(70):
        await store.take_try(Try((ACCOUNT,)), NOW)
    await store.settle([], [ACCOUNT, GuessCounter("account:nobody", 1, 1)])
    assert await taken(store, Try((ACCOUNT,)))
    assert not await taken(store, Try((other,)))


async def test_a_success_gives_budgets_back_and_begins_counters_anew(store: Store) -> None:
    # More than the address has in an hour.
    for _ in range(300):
        assert await taken(store, BOTH)
        await store.settle(BOTH.budgets, BOTH.counters)
    assert [await taken(store, Try((), (ADDRESS,))) for _ in range(10)][:9] == [True] * 9


async def test_counts_that_nobody_touched_for_90_days_go(store: Store) -> None:
    for number in range(5):
        await store.take_try(Try((GuessCounter(f"account:{number}", 1, 1),)), NOW + number)
    later = NOW + 90 * 86_400_000 + 2
    assert await store.purge_tries(later, 2) == 2
    assert await store.purge_tries(later, 2) == 1
    assert await store.purge_tries(later, 2) == 0
    assert not await taken(store, Try((GuessCounter("account:4", 1, 1),)), later)
