"""Who sends which mail, on both databases."""

from __future__ import annotations

import asyncio

import pytest

from server.mail.claims import LEASE_MS, ClaimRepository
from server.mail.outbox_model import TRY_FOR_MS
from server.repositories import Repositories
from tests.clock import FakeClock
from tests.mail.outboxes import invitation, outbox_on, put, rows, states
from tests.stores import OpenStore

_MANY = (
    "INSERT INTO mails (id, kind, recipient, language, message_id, state, attempts, created_at, next_attempt_at, "
    "give_up_at) SELECT 'm' || n, 'test', 'a', 'en', 'a', 'waiting', 1, 0, $1, $1 "
    "FROM generate_series(1, 5000) AS n RETURNING id"
)


async def written(store: Repositories, clock: FakeClock, count: int) -> list[str]:
    """The ids of so many mails, the oldest first."""
    outbox = outbox_on(store, clock)
    for _ in range(count):
        clock.advance(1)
        await put(store, outbox, invitation())
    return [row["id"] for row in await rows(store)]


@pytest.fixture
def claims(store: Repositories) -> ClaimRepository:
    return ClaimRepository(store.driver)


async def claimed(
    claims: ClaimRepository, clock: FakeClock, name: str, limit: int = 10, *, newest: bool = True
) -> list[str]:
    return [mail.id for mail in await claims.claim(name, clock.now_ms(), limit, newest=newest)]


async def test_the_newest_or_the_oldest_that_were_never_tried_come_first(
    store: Repositories, claims: ClaimRepository
) -> None:
    clock = FakeClock()
    ids = await written(store, clock, 6)
    assert await claims.claim("a", clock.now_ms(), 1, newest=False)
    assert await claims.try_later("a", ids[0], clock.now_ms() - 9, "busy")
    assert await claimed(claims, clock, "b", 2) == ids[4:]
    assert await claimed(claims, clock, "c", 2, newest=False) == ids[1:3]
    # And then the one that was tried.
    assert await claimed(claims, clock, "d") == [ids[0], ids[3]]
    assert await claimed(claims, clock, "e") == []
    assert not await claims.due(clock.now_ms())


async def test_a_mail_that_was_tried_waits_for_its_time_and_those_longest_due_come_first(
    store: Repositories, claims: ClaimRepository
) -> None:
    clock = FakeClock()
    ids = await written(store, clock, 3)
    await claimed(claims, clock, "a")
    now = clock.now_ms()
    for mail_id, seconds in zip(ids, (30, 20, 10), strict=True):
        assert await claims.try_later("a", mail_id, now + seconds * 1000, "busy")
    assert not await claims.due(now)
    assert await claimed(claims, clock, "b") == []
    clock.advance(29)
    assert await claims.due(clock.now_ms())
    assert await claimed(claims, clock, "c", 1) == [ids[2]]
    assert await claimed(claims, clock, "d") == [ids[1]]


async def test_nobody_tries_after_the_end(store: Repositories, claims: ClaimRepository) -> None:
    clock = FakeClock()
    await put(store, outbox_on(store, clock), invitation(useful_until=clock.now_ms() + 1000))
    clock.advance(1)
    assert not await claims.due(clock.now_ms())
    assert await claimed(claims, clock, "a") == []


async def test_two_processes_never_claim_the_same(store: Repositories, open_another: OpenStore) -> None:
    clock = FakeClock()
    ids = await written(store, clock, 40)
    others = [ClaimRepository((await open_another()).driver) for _ in range(3)]

    async def all_of(number: int, claims: ClaimRepository) -> list[str]:
        found: list[str] = []
        while batch := await claimed(claims, clock, f"{number}/{len(found)}", 3, newest=number % 2 == 0):
            found += batch
            await asyncio.sleep(0)
        return found

    found = await asyncio.gather(*(all_of(number, claims) for number, claims in enumerate(others)))
    assert sorted(mail_id for part in found for mail_id in part) == ids


async def test_a_claim_that_ran_out_goes_to_another_and_the_first_can_write_nothing_any_more(
    store: Repositories, claims: ClaimRepository
) -> None:
    clock = FakeClock()
    ids = await written(store, clock, 1)
    assert await claimed(claims, clock, "slow") == ids
    assert await claimed(claims, clock, "early") == []
    await store.driver.write_one("UPDATE mails SET claimed_until = claimed_until - $1 RETURNING id", LEASE_MS + 1)
    assert await claimed(claims, clock, "other") == ids
    now = clock.now_ms()
    assert not await claims.sent("slow", ids[0], now)
    assert not await claims.try_later("slow", ids[0], now, "busy")
    assert not await claims.give_up("slow", ids[0], now, "no", readable=True)
    await claims.release("slow", ids)
    assert await claimed(claims, clock, "third") == []
    assert await claims.sent("other", ids[0], now)
    # The first attempt counts too: nobody knows what has become of it.
    assert await states(store) == [("sent", 2)]


async def test_a_claim_until_far_in_the_future_was_made_by_a_wrong_clock(
    store: Repositories, claims: ClaimRepository
) -> None:
    clock = FakeClock()
    ids = await written(store, clock, 1)
    await claimed(claims, clock, "a")
    await store.driver.write_one("UPDATE mails SET claimed_until = claimed_until + $1 RETURNING id", 2 * LEASE_MS)
    assert await claimed(claims, clock, "b") == ids


async def test_what_a_process_of_the_same_number_has_left_is_free_at_once(
    store: Repositories, claims: ClaimRepository
) -> None:
    clock = FakeClock()
    ids = await written(store, clock, 3)
    for name in ("node-a/0/0", "node-a/1/0", "node-b/0/7"):
        await claimed(claims, clock, name, 1, newest=False)
    assert await claims.release_left("node-a/0/", clock.now_ms()) == 1
    assert await claimed(claims, clock, "node-a/0/0") == ids[:1]
    # A server that is alone on its store knows that all others are gone, but for its own workers.
    assert await claims.release_all_but("node-a/", clock.now_ms()) == 1
    assert await claimed(claims, clock, "node-a/0/1") == ids[2:]
    # It may have been sent, so it was tried.
    assert await states(store) == [("waiting", 1), ("waiting", 0), ("waiting", 1)]


async def test_a_server_that_is_killed_again_and_again_does_not_send_the_same_mail_each_time(
    store: Repositories, claims: ClaimRepository
) -> None:
    clock = FakeClock()
    ids = await written(store, clock, 1)
    for wait in (0, 10, 30, 30):
        clock.advance(wait)
        assert await claimed(claims, clock, f"killed/0/{wait}") == ids
        assert await claims.release_all_but("started/", clock.now_ms()) == 1
        if wait:
            assert await claimed(claims, clock, "early") == []
    assert await states(store) == [("waiting", 4)]


async def test_a_mail_that_was_sent_has_no_content_and_one_that_was_given_up_keeps_it_if_it_can_be_read(
    store: Repositories, claims: ClaimRepository
) -> None:
    clock = FakeClock()
    ids = await written(store, clock, 3)
    await claimed(claims, clock, "a")
    now = clock.now_ms()
    assert await claims.sent("a", ids[0], now)
    assert await claims.give_up("a", ids[1], now, "550 no", readable=True)
    assert await claims.give_up("a", ids[2], now, "unreadable", readable=False)
    found = await rows(store)
    assert [row["content"] is None for row in found] == [True, False, True]
    assert [row["reason"] for row in found] == [None, "550 no", "unreadable"]
    assert {row["ended_at"] for row in found} == {now}
    assert {row["claim"] for row in found} == {None}


async def test_who_leaves_a_mail_to_others_may_say_why(store: Repositories, claims: ClaimRepository) -> None:
    clock = FakeClock()
    ids = await written(store, clock, 2)
    await claimed(claims, clock, "a")
    await claims.release("a", ids, "no route to host")
    await claims.release("a", ids)
    assert [(row["attempts"], row["reason"]) for row in await rows(store)] == [(0, "no route to host")] * 2
    assert await claimed(claims, clock, "b") == ids


async def test_the_questions_are_answered_by_indexes(store: Repositories, claims: ClaimRepository) -> None:
    """Each process asks every two seconds, whatever waits."""
    clock = FakeClock()
    await written(store, clock, 1)
    explain = "EXPLAIN QUERY PLAN" if store.driver.dialect == "sqlite" else "EXPLAIN"
    if store.driver.dialect == "postgres":
        far = 2 * clock.now_ms()
        await store.driver.write_one(_MANY, far)
        await store.driver.write_one("ANALYZE mails")
    plan = " ".join(str(tuple(row)) for row in await store.driver.read(f"{explain} {claims._due}", clock.now_ms()))
    assert "mails_again" in plan, plan
    assert "mails_new" in plan, plan


async def test_what_could_not_be_sent_in_time_is_given_up_unless_it_is_being_sent(
    store: Repositories, claims: ClaimRepository
) -> None:
    clock = FakeClock()
    await put(store, outbox_on(store, clock), *(invitation() for _ in range(3)))
    (ids, now) = [row["id"] for row in await rows(store)], clock.now_ms()
    await claims.claim("a", now, 1, newest=False)
    await claims.try_later("a", ids[0], now + 1, "451 busy")
    await claims.claim("b", now, 1, newest=False)
    assert await claims.expire(now + TRY_FOR_MS - 1, 500) == 0
    assert await claims.expire(now + TRY_FOR_MS, 1) == 1
    assert await claims.expire(now + TRY_FOR_MS, 500) == 1
    found = await rows(store)
    assert [row["state"] for row in found] == ["given_up", "waiting", "given_up"]
    assert [row["reason"] for row in found] == ["451 busy", None, "there was no attempt in time"]
    assert [row["content"] is None for row in found] == [True, False, True]


async def test_what_was_written_while_the_clock_was_ahead_is_sent_and_given_up_like_the_others(
    store: Repositories, claims: ClaimRepository
) -> None:
    now_clock, ahead = FakeClock(), FakeClock()
    ahead.advance(365 * 86_400)
    await put(store, outbox_on(store, now_clock), invitation())
    await put(store, outbox_on(store, ahead), invitation())
    now = now_clock.now_ms()
    for mail in await claims.claim("a", now, 9, newest=True):
        await claims.try_later("a", mail.id, mail.created_at + 10_000, "451 busy")
    assert await claims.repair_future_times(now) == 1
    assert await claims.repair_future_times(now) == 0
    assert [(row["next_attempt_at"], row["give_up_at"]) for row in await rows(store)] == [
        (now + 10_000, now + TRY_FOR_MS),
        (now, now + TRY_FOR_MS),
    ]
