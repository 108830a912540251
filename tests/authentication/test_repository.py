from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from itertools import takewhile
from pathlib import Path

import pytest

from server.authentication.attempts import FORGET_MS, LONGEST_WAIT_MS, PERIOD_MS, wait_after
from server.authentication.errors import TooManyAttempts
from server.authentication.model import AttemptCounter, AttemptLimits, Budget
from server.core.errors import Overloaded
from server.database.migration_files import Migration, migrations
from server.database.postgres import schema as postgres_schema
from server.database.sqlite import file as sqlite_file
from server.repositories import Repositories, open_repositories
from tests.accounts import attempts_on
from tests.records import NOW
from tests.stores import OpenStore

ACCOUNT = AttemptCounter("account:a", 70, 20)
# Ten at once, and one more each minute.
ADDRESS = Budget("address:a", 60_000, 600_000)
BOTH = AttemptLimits((ACCOUNT,), (ADDRESS,))
FREE = ACCOUNT.free


async def take(store: Repositories, wanted: AttemptLimits, now: int = NOW) -> AttemptLimits | int:
    """The attempt; or the seconds to wait, below zero if only for others to end."""
    try:
        return await attempts_on(store).take(wanted, now)
    except TooManyAttempts as refused:
        return refused.retry_after_seconds
    except Overloaded as refused:
        return -refused.retry_after_seconds


async def take_many(
    store: Repositories, wanted: AttemptLimits, count: int, now: int = NOW
) -> tuple[list[AttemptLimits], Counter[int]]:
    """At once: those that were taken, and how the others were refused."""
    done = await asyncio.gather(*(take(store, wanted, now) for _ in range(count)))
    return [one for one in done if isinstance(one, AttemptLimits)], Counter(one for one in done if isinstance(one, int))


async def fail(store: Repositories, wanted: AttemptLimits, now: int = NOW) -> bool:
    """A wrong password; False if it was not looked at."""
    taken = await take(store, wanted, now)
    if isinstance(taken, AttemptLimits):
        await attempts_on(store).note_failure(taken, now)
        return True
    return False


async def fail_often(store: Repositories, wanted: AttemptLimits, count: int) -> int:
    """The time at which the next one may be wrong, after so many."""
    now = NOW
    for _ in range(count):
        assert await fail(store, wanted, now)
        refused = await take(store, wanted, now)
        if isinstance(refused, AttemptLimits):
            await attempts_on(store).give_back(refused)
        else:
            now += refused * 1000
    return now


async def test_no_more_run_at_once_than_could_all_be_wrong_however_many_come_to_however_many_nodes(
    store: Repositories, open_another: OpenStore
) -> None:
    wanted = AttemptLimits((ACCOUNT,))
    both = await asyncio.gather(*(take_many(one, wanted, 75) for one in (store, await open_another())))
    taken = [one for some, _ in both for one in some]
    # Nobody has to wait long, since none of them was wrong yet.
    assert (len(taken), sum((refused for _, refused in both), Counter())) == (FREE, Counter({-1: 150 - FREE}))
    await asyncio.gather(*(attempts_on(store).note_failure(one, NOW) for one in taken))
    assert await take_many(store, wanted, 5) == ([], Counter({1: 5}))


@pytest.mark.parametrize("wrong", [FREE, FREE + 1, FREE + 30])
async def test_behind_the_free_failures_one_runs_at_a_time(store: Repositories, wrong: int) -> None:
    wanted = AttemptLimits((ACCOUNT,))
    now = await fail_often(store, wanted, wrong)
    taken, refused = await take_many(store, wanted, 10, now)
    assert (len(taken), refused) == (1, Counter({-1: 9}))
    await attempts_on(store).note_failure(taken[0], now)
    wait = wait_after(wrong + 1, FREE) // 1000
    assert await take_many(store, wanted, 10, now) == ([], Counter({wait: 10}))


async def test_a_counter_takes_its_limit_and_no_more_and_does_not_refill(store: Repositories) -> None:
    wanted = AttemptLimits((AttemptCounter("account:limit", 7, 7),))
    now = await fail_often(store, wanted, 7)
    assert await take(store, wanted, now) == LONGEST_WAIT_MS // 1000
    assert await take(store, wanted, NOW + 365 * 86_400_000) == LONGEST_WAIT_MS // 1000


async def test_behind_the_free_failures_each_wait_is_twice_as_long(store: Repositories) -> None:
    wanted = AttemptLimits((AttemptCounter("account:c", 100, 3),))
    now = NOW
    waits = []
    for _ in range(20):
        assert await fail(store, wanted, now)
        refused = await take(store, wanted, now)
        if isinstance(refused, AttemptLimits):
            await attempts_on(store).give_back(refused)
            refused = 0
        waits.append(refused)
        now += refused * 1000
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


async def test_a_budget_takes_what_is_in_it_and_refills(store: Repositories) -> None:
    wanted = AttemptLimits((), (ADDRESS,))
    assert [await fail(store, wanted) for _ in range(12)] == [True] * 10 + [False] * 2
    assert await take(store, wanted) == 60
    assert await take(store, wanted, NOW + 59_001) == 1
    assert await fail(store, wanted, NOW + 60_000)
    assert not await fail(store, wanted, NOW + 60_000)
    later = NOW + 60_000 + 3_600_000
    assert [await fail(store, wanted, later) for _ in range(11)] == [True] * 10 + [False]


async def test_a_budget_lets_no_more_run_than_it_could_pay(store: Repositories) -> None:
    wanted = AttemptLimits((), (ADDRESS,))
    assert await fail(store, wanted)
    taken, refused = await take_many(store, wanted, 20)
    assert (len(taken), refused) == (9, Counter({-1: 11}))
    await attempts_on(store).settle(taken[0], [])
    await attempts_on(store).give_back(taken[1])
    for one in taken[2:]:
        await attempts_on(store).note_failure(one, NOW)
    assert [await fail(store, wanted) for _ in range(3)] == [True, True, False]
    assert await take(store, wanted) == 60


async def test_a_try_is_counted_everywhere_or_nowhere(store: Repositories) -> None:
    narrow = AttemptLimits((AttemptCounter("account:b", 1, 1),), (ADDRESS,))
    assert await fail(store, narrow)
    for _ in range(20):
        assert not await fail(store, narrow)
    # The refused ones have cost the address nothing, whether they were wrong or would run.
    assert [await fail(store, AttemptLimits((), (ADDRESS,))) for _ in range(10)] == [True] * 9 + [False]
    fresh = AttemptLimits((AttemptCounter("account:fresh", 5, 5),))
    assert await take(store, AttemptLimits(fresh.counters, (ADDRESS,))) == 60
    assert len((await take_many(store, fresh, 6))[0]) == 5


async def test_what_nobody_ended_counts_for_one_to_two_minutes_and_no_longer(store: Repositories) -> None:
    """A process that was killed; others go on trying, and their attempts are counted as they should be."""
    wanted = AttemptLimits((AttemptCounter("account:killed", 5, 5),), (Budget("address:killed", 120_000, 600_000),))
    begun = NOW // PERIOD_MS * PERIOD_MS + PERIOD_MS - 1
    left, _ = await take_many(store, wanted, 3, begun)
    for second in range(0, 120, 5):
        now = begun + 1 + second * 1000
        taken, _ = await take_many(store, wanted, 6, now)
        assert len(taken) == (2 if second < 60 else 5), second
        for one in taken:
            await attempts_on(store).give_back(one)
    # Ended after all, by a process that only slept: nothing is given back twice, and a wrong one still counts.
    running, _ = await take_many(store, wanted, 6, now)
    await attempts_on(store).give_back(left[0])
    await attempts_on(store).settle(left[1], [])
    assert await take(store, wanted, now) == -1
    await attempts_on(store).note_failure(left[2], now)
    for one in running:
        await attempts_on(store).give_back(one)
    assert len((await take_many(store, wanted, 6, now))[0]) == 4


async def test_one_that_was_killed_behind_the_free_failures_shuts_nobody_out_for_long(store: Repositories) -> None:
    wanted = AttemptLimits((AttemptCounter("account:shut", 70, 2),))
    now = await fail_often(store, wanted, 2)
    assert isinstance(await take(store, wanted, now), AttemptLimits)
    assert await take(store, wanted, now + 59_000) == -1
    assert isinstance(await take(store, wanted, now + 2 * PERIOD_MS), AttemptLimits)


async def test_tries_of_the_period_before_end_as_their_own(store: Repositories) -> None:
    wanted = AttemptLimits((AttemptCounter("account:over", 5, 5),))
    end = NOW // PERIOD_MS * PERIOD_MS + PERIOD_MS
    before, _ = await take_many(store, wanted, 2, end - 1)
    after, _ = await take_many(store, wanted, 6, end)
    assert len(after) == 3
    for one in (*before, *after):
        assert await take(store, wanted, end + 10_000) == -1
        await attempts_on(store).give_back(one)
        assert isinstance(await take(store, wanted, end + 10_000), AttemptLimits)
    assert len((await take_many(store, wanted, 6, end + 3 * PERIOD_MS))[0]) == 5


async def test_a_node_whose_clock_is_a_little_behind_counts_the_same(store: Repositories) -> None:
    wanted = AttemptLimits((AttemptCounter("account:skew", 5, 5),))
    end = NOW // PERIOD_MS * PERIOD_MS + PERIOD_MS
    early, late = end - 2000, end + 2000
    taken = [await take(store, wanted, now) for now in (late, early, late, early, late)]
    assert await take(store, wanted, early) == await take(store, wanted, late) == -1
    for one in taken:
        assert isinstance(one, AttemptLimits)
        await attempts_on(store).give_back(one)
    assert len((await take_many(store, wanted, 6, early))[0]) == 5


async def test_a_clock_that_was_far_ahead_shuts_nobody_out_when_it_is_right_again(store: Repositories) -> None:
    wanted = AttemptLimits((AttemptCounter("account:e", 10, 1),), (ADDRESS,))
    month = 30 * 86_400_000
    assert await fail(store, wanted, NOW + month)
    assert await fail(store, wanted, NOW)
    # What was written since holds, and the limit counts them all.
    assert not await fail(store, wanted, NOW)
    later = NOW
    for _ in range(8):
        later += 3_600_000
        assert await fail(store, wanted, later)
    assert not await fail(store, wanted, later + 3_600_000)


async def test_attempts_under_way_while_the_clock_is_set_right_are_counted_and_end(store: Repositories) -> None:
    wanted = AttemptLimits((AttemptCounter("account:f", 5, 5),))
    month = 30 * 86_400_000
    ahead, _ = await take_many(store, wanted, 3, NOW + month)
    taken, _ = await take_many(store, wanted, 6)
    assert len(taken) == 2
    for one in (*ahead, *taken):
        await attempts_on(store).give_back(one)
    again, _ = await take_many(store, wanted, 6)
    assert len(again) == 5
    # What nobody ended does not stay until the clock is there again.
    assert len((await take_many(store, wanted, 6, NOW + 2 * PERIOD_MS))[0]) == 5


async def test_clocks_that_differ_by_seconds_let_nobody_try_more(store: Repositories) -> None:
    ahead = NOW + 30_000
    while await fail(store, AttemptLimits((), (ADDRESS,)), ahead):
        pass
    assert not await fail(store, AttemptLimits((), (ADDRESS,)), NOW)


async def test_what_was_no_attempt_is_given_back(store: Repositories) -> None:
    for _ in range(100):
        await attempts_on(store).give_back(await attempts_on(store).take(BOTH, NOW))
    # Once, and not what others run.
    twice = await attempts_on(store).take(AttemptLimits((ACCOUNT,)), NOW)
    await attempts_on(store).give_back(twice)
    await attempts_on(store).give_back(twice)
    assert len((await take_many(store, AttemptLimits((ACCOUNT,)), 30))[0]) == FREE


async def test_a_success_begins_the_counters_anew_and_ends_only_its_own_try(store: Repositories) -> None:
    other = AttemptCounter("account:other", 1, 1)
    assert await fail(store, AttemptLimits((other,)))
    for _ in range(FREE - 1):
        assert await fail(store, AttemptLimits((ACCOUNT,)))
    right = await attempts_on(store).take(AttemptLimits((ACCOUNT,)), NOW)
    await attempts_on(store).settle(right, [ACCOUNT, AttemptCounter("account:nobody", 1, 1)])
    running, _ = await take_many(store, AttemptLimits((ACCOUNT,)), 30)
    assert len(running) == FREE
    await attempts_on(store).settle(running[0], [ACCOUNT])
    assert len((await take_many(store, AttemptLimits((ACCOUNT,)), 5))[0]) == 1
    await attempts_on(store).settle(None, [ACCOUNT])
    assert await take(store, AttemptLimits((ACCOUNT,))) == -1
    assert not await fail(store, AttemptLimits((other,)))


async def test_a_success_uses_nothing_of_a_budget(store: Repositories) -> None:
    # More than the address has in an hour.
    for _ in range(40):
        await attempts_on(store).settle(await attempts_on(store).take(BOTH, NOW), BOTH.counters)
    assert [await fail(store, AttemptLimits((), (ADDRESS,))) for _ in range(11)] == [True] * 10 + [False]


async def test_ends_of_all_kinds_at_the_same_moment_are_all_counted(
    store: Repositories, open_another: OpenStore
) -> None:
    """And no unit waits for one that waits for it, which a database would end with an error after a second."""
    stores = [store, await open_another()]
    budgets = (Budget("address:busy", 1, 600_000), Budget("all:busy", 1, 600_000))
    counters = [AttemptCounter(f"{kind}:busy", 1000, 1000) for kind in ("account", "change", "devices", "known")]
    account, change, devices, known = counters
    kinds = [
        AttemptLimits((account,), budgets),
        AttemptLimits((devices, known)),
        AttemptLimits((change,)),
        AttemptLimits((), budgets),
    ]

    async def one(number: int) -> None:
        where = stores[number % 2]
        taken = await attempts_on(where).take(kinds[number % 4], NOW)
        if number % 3 == 0:
            await attempts_on(where).settle(taken, [*counters[:3], *taken.counters])
        elif number % 3 == 1:
            await attempts_on(where).give_back(taken)
        else:
            await attempts_on(where).note_failure(taken, NOW)

    async with asyncio.timeout(30):
        await asyncio.gather(*(one(number) for number in range(240)))
    # Nothing runs any more: what could be wrong may run, all of it.
    await attempts_on(store).settle(None, counters)
    for counter in counters:
        narrow = AttemptLimits((AttemptCounter(counter.key, 3, 3),))
        assert len((await take_many(store, narrow, 4))[0]) == 3


async def test_counts_that_nobody_touched_for_90_days_go(store: Repositories) -> None:
    for number in range(5):
        assert await fail(store, AttemptLimits((AttemptCounter(f"account:{number}", 1, 1),)), NOW + number)
    later = NOW + 90 * 86_400_000 + 2
    assert await store.attempts.purge(later - FORGET_MS, 2) == 2
    assert await store.attempts.purge(later - FORGET_MS, 2) == 1
    assert await store.attempts.purge(later - FORGET_MS, 2) == 0
    assert not await fail(store, AttemptLimits((AttemptCounter("account:4", 1, 1),)), later)


def earlier_migrations(dialect: str) -> list[Migration]:
    return list(takewhile(lambda one: not one.name.endswith("running_guesses"), migrations(dialect)))


@pytest.fixture(params=["sqlite", "postgres"])
def empty_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database without tables."""
    url: str = request.getfixturevalue("postgres_url") if request.param == "postgres" else f"sqlite:///{tmp_path}/w.db"
    return url


async def test_what_was_counted_before_attempts_could_run_still_counts(
    empty_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of attempts under way then nobody knows whether they were wrong."""
    now = NOW + 1_000_000
    rows = [("account:a", 70, 3, 0), ("device:b", 10, 10, 0), ("address:a", 500, 0, now + 540_000), ("all:", 9, 0, 0)]
    with monkeypatch.context() as before:
        for module in (sqlite_file, postgres_schema):
            before.setattr(module, "migrations", earlier_migrations)
        store = await open_repositories(empty_store_url, serving=True)
        assert isinstance(store, Repositories)
        values = ", ".join(str((*row, 0)) for row in rows)
        sql = f"INSERT INTO guesses (key, taken, failures, retry_at, touched_at) VALUES {values}"  # noqa: S608 - above
        if store.driver.dialect == "postgres":
            await store.driver.write_one(sql)
        await store.close()
        if store.driver.dialect == "sqlite":
            # This driver writes to no store that is so old.
            with closing(sqlite3.connect(tmp_path / "w.db", isolation_level=None)) as connection:
                connection.execute(sql)
    store = await open_repositories(empty_store_url, serving=True)
    device, everything = AttemptCounter("known:b", 10, 10), Budget("all:", 60_000, 600_000)
    assert await take(store, AttemptLimits((ACCOUNT,)), now) == await take(store, AttemptLimits((device,)), now) == 900
    # One more is in the address's, and all ten of the other.
    for budget, count in ((ADDRESS, 1), (everything, 10)):
        assert [await fail(store, AttemptLimits((), (budget,)), now) for _ in range(count + 1)] == [True] * count + [
            False
        ]
    await store.close()
