from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from server.core.errors import Overloaded
from server.passwords.hasher import Hasher
from server.passwords.pool import HashPool

PATIENCE_SECONDS = 10
WAIT_SECONDS = 5


class HeldHasher(Hasher):
    """Begins a hash at once and ends it when it is let go; notes what it was given."""

    def __init__(self) -> None:
        # Which is expected to take a quarter of a second.
        super().__init__(12)
        self.begun: list[str] = []
        self.priorities: list[int] = []
        self._beginning = threading.Semaphore(0)
        self._release = threading.Event()

    def hash(self, password: str) -> str:
        self.begun.append(password)
        if sys.platform == "linux":
            self.priorities.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        self._beginning.release()
        assert self._release.wait(PATIENCE_SECONDS)
        return password.upper()

    def verify(self, password: str, password_hash: str | None) -> bool:
        return self.hash(password) == password_hash

    def let_go(self) -> None:
        self._release.set()

    async def has_begun(self, count: int = 1) -> None:
        for _ in range(count):
            assert await asyncio.to_thread(self._beginning.acquire, timeout=PATIENCE_SECONDS)


@asynccontextmanager
async def held_pool(threads: int, queue: int) -> AsyncIterator[tuple[HashPool, HeldHasher]]:
    hasher = HeldHasher()
    pool = HashPool(hasher, threads, queue, WAIT_SECONDS)
    try:
        yield pool, hasher
    finally:
        hasher.let_go()
        pool.close()


def start(pool: HashPool, passwords: str) -> list[asyncio.Task[str]]:
    return [asyncio.create_task(pool.hash(password)) for password in passwords]


async def test_the_pool_gives_what_the_hasher_gives() -> None:
    pool = HashPool(Hasher(4), 2, 2, WAIT_SECONDS)
    try:
        made = await pool.hash("correct horse battery")
        assert made.startswith("$bcrypt-sha256$")
        assert await pool.verify("correct horse battery", made) is True
        assert await pool.verify("wrong horse battery", made) is False
        assert await pool.verify("correct horse battery", None) is False
        assert pool.needs_renewal(made) is False
        assert HashPool(Hasher(5), 1, 1, WAIT_SECONDS).needs_renewal(made) is True
    finally:
        pool.close()


async def test_a_full_queue_refuses_the_next_and_takes_it_later() -> None:
    async with held_pool(threads=1, queue=2) as (pool, hasher):
        tasks = start(pool, "abc")
        await hasher.has_begun()
        assert pool.waiting == 2
        with pytest.raises(Overloaded):
            await pool.hash("d")
        with pytest.raises(Overloaded):
            await pool.verify("d", "D")
        hasher.let_go()
        assert await asyncio.gather(*tasks) == ["A", "B", "C"]
        assert hasher.begun == ["a", "b", "c"]
        assert pool.waiting == 0
        assert await pool.hash("e") == "E"


async def test_comparisons_stand_in_the_same_queue() -> None:
    async with held_pool(threads=1, queue=0) as (pool, hasher):
        task = asyncio.create_task(pool.verify("a", "A"))
        await hasher.has_begun()
        with pytest.raises(Overloaded):
            await pool.hash("b")
        hasher.let_go()
        assert await task is True


async def test_as_many_hashes_run_at_once_as_there_are_threads() -> None:
    async with held_pool(threads=3, queue=1) as (pool, hasher):
        tasks = start(pool, "abcd")
        await hasher.has_begun(3)
        assert sorted(hasher.begun) == ["a", "b", "c"]
        assert pool.waiting == 1
        hasher.let_go()
        assert await asyncio.gather(*tasks) == ["A", "B", "C", "D"]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the platform does not tell")
async def test_zero_threads_mean_one_for_each_processor() -> None:
    processors = len(os.sched_getaffinity(0))
    async with held_pool(threads=0, queue=0) as (pool, hasher):
        tasks = start(pool, "x" * processors)
        await hasher.has_begun(processors)
        with pytest.raises(Overloaded):
            await pool.hash("y")
        hasher.let_go()
        await asyncio.gather(*tasks)


async def test_a_refusal_says_how_long_the_queue_takes() -> None:
    async with held_pool(threads=2, queue=38) as (pool, hasher):
        start(pool, "x" * 40)
        await hasher.has_begun(2)
        with pytest.raises(Overloaded) as refused:
            await pool.hash("y")
        # Forty hashes of a quarter of a second on two threads.
        assert refused.value.retry_after_seconds == 5


async def test_the_wait_is_learnt_from_the_hashes_before() -> None:
    hasher = HeldHasher()
    pool = HashPool(hasher, 1, 39, 50)
    hasher.let_go()
    for _ in range(40):
        await pool.hash("quick")
    hasher._release.clear()
    tasks = start(pool, "x" * 40)
    await hasher.has_begun(41)
    with pytest.raises(Overloaded) as refused:
        await pool.hash("y")
    hasher.let_go()
    await asyncio.gather(*tasks)
    pool.close()
    assert refused.value.retry_after_seconds < 10


async def test_a_queued_hash_whose_waiter_is_gone_is_never_run_and_frees_its_place() -> None:
    async with held_pool(threads=1, queue=1) as (pool, hasher):
        first, second = start(pool, "ab")
        await hasher.has_begun()
        second.cancel()
        await asyncio.wait([second])
        assert second.cancelled()
        assert pool.waiting == 0
        (third,) = start(pool, "c")
        hasher.let_go()
        assert [await first, await third] == ["A", "C"]
        assert hasher.begun == ["a", "c"]


async def test_a_hash_that_runs_keeps_its_place_when_its_caller_is_gone() -> None:
    async with held_pool(threads=1, queue=0) as (pool, hasher):
        (running,) = start(pool, "a")
        await hasher.has_begun()
        running.cancel()
        await asyncio.wait([running])
        with pytest.raises(Overloaded):
            await pool.hash("b")
        hasher.let_go()


async def test_a_failing_hash_is_the_failure_of_its_caller_alone() -> None:
    class Failing(Hasher):
        def hash(self, password: str) -> str:
            if password == "bad":
                raise RuntimeError(password)
            return super().hash(password)

    pool = HashPool(Failing(4), 1, 0, WAIT_SECONDS)
    try:
        with pytest.raises(RuntimeError, match="bad"):
            await pool.hash("bad")
        assert (await pool.hash("good")).startswith("$bcrypt-sha256$")
    finally:
        pool.close()


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads are Linux's")
async def test_hashes_run_at_the_lowest_priority_and_the_server_at_its_own() -> None:
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    async with held_pool(threads=2, queue=0) as (pool, hasher):
        tasks = start(pool, "ab")
        await hasher.has_begun(2)
        hasher.let_go()
        await asyncio.gather(*tasks)
        assert hasher.priorities == [19, 19]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


async def test_closing_drops_what_waits_lets_the_running_end_and_refuses_the_rest() -> None:
    async with held_pool(threads=1, queue=2) as (pool, hasher):
        running, *waiting = start(pool, "abc")
        await hasher.has_begun()
        pool.close()
        for task in waiting:
            with pytest.raises(Overloaded):
                await task
        with pytest.raises(Overloaded):
            await pool.hash("d")
        assert not running.done()
        hasher.let_go()
        assert await running == "A"
        assert hasher.begun == ["a"]
        pool.close()


async def test_at_the_end_only_what_begins_at_once_is_taken() -> None:
    async with held_pool(threads=2, queue=3) as (pool, hasher):
        first, second, *waiting = start(pool, "abcde")
        await hasher.has_begun()
        pool.stop_waiting()
        for task in waiting:
            with pytest.raises(Overloaded):
                await task
        with pytest.raises(Overloaded):
            await pool.hash("f")
        hasher.let_go()
        assert [await first, await second] == ["A", "B"]
        assert await pool.hash("g") == "G"


async def test_who_would_wait_too_long_is_refused_at_once() -> None:
    hasher = HeldHasher()
    pool = HashPool(hasher, threads=1, queue=100, wait_seconds=2)
    try:
        # A quarter of a second each, so the ninth would begin after two seconds.
        tasks = start(pool, "x" * 9)
        await hasher.has_begun()
        with pytest.raises(Overloaded):
            pool.require_room()
        with pytest.raises(Overloaded):
            await pool.hash("y")
        tasks[-1].cancel()
        await asyncio.wait(tasks[-1:])
        pool.require_room()
    finally:
        hasher.let_go()
        pool.close()


async def test_a_hash_that_takes_longer_than_anybody_may_wait_is_begun_by_a_free_thread() -> None:
    hasher = HeldHasher()
    pool = HashPool(hasher, threads=1, queue=100, wait_seconds=2)
    pool.change(Hasher(17), 1, 100, 2)
    pool.hasher = hasher
    try:
        (task,) = start(pool, "x")
        await hasher.has_begun()
        with pytest.raises(Overloaded):
            pool.require_room()
        hasher.let_go()
        assert await task == "X"
    finally:
        hasher.let_go()
        pool.close()


async def test_a_hash_that_waits_longer_than_was_expected_is_given_up_and_a_running_one_is_not() -> None:
    hasher = HeldHasher()
    # Which hashes as if it took a millisecond, and then takes longer.
    pool = HashPool(Hasher(4), threads=1, queue=100, wait_seconds=0.02)
    pool.hasher = hasher
    try:
        (running,) = start(pool, "a")
        while not hasher.begun:
            await asyncio.sleep(0.001)
            if running.done():
                # On a busy machine no thread has begun it in time, so it was given up too.
                assert isinstance(running.exception(), Overloaded)
                (running,) = start(pool, "a")
        (late,) = start(pool, "b")
        with pytest.raises(Overloaded):
            await late
        assert pool.waiting == 0
        hasher.let_go()
        assert await running == "A"
        assert hasher.begun == ["a"]
    finally:
        hasher.let_go()
        pool.close()
