"""Work for many connections is done in turns of the event loop."""

from __future__ import annotations

import asyncio
from functools import partial

from server.http.turns import WORK_SECONDS, Shared


class Work:
    """Pieces of work, each of which takes so long by its own clock."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.time = 0.0
        self.done: list[int] = []

    def do(self, number: int) -> None:
        self.done.append(number)
        self.time += self._seconds

    def now(self) -> float:
        return self.time


async def turns_of(work: Work, count: int, most: int) -> list[int]:
    """How much was done at once, and in each of the next turns."""
    shared = Shared(asyncio.get_running_loop(), most, work.now)
    at_once = [shared.add(partial(work.do, number)) for number in range(count)]
    found = [len(work.done)]
    assert at_once == [True] * found[0] + [False] * (count - found[0])
    while len(work.done) < count:
        before = len(work.done)
        await asyncio.sleep(0)
        found.append(len(work.done) - before)
    assert work.done == list(range(count))
    return found


async def test_so_much_is_done_in_a_turn() -> None:
    assert await turns_of(Work(0), 25, 10) == [10, 10, 5]


async def test_a_turn_takes_no_longer_than_a_millisecond() -> None:
    assert await turns_of(Work(0.3 * WORK_SECONDS), 10, 10) == [4, 4, 2]


async def test_long_work_goes_on_too() -> None:
    assert await turns_of(Work(2 * WORK_SECONDS), 3, 10) == [1, 1, 1]


async def test_after_a_pause_work_is_done_at_once() -> None:
    work = Work(0)
    shared = Shared(asyncio.get_running_loop(), 1, work.now)
    for number in range(3):
        assert shared.add(partial(work.do, number))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert work.done == [0, 1, 2]
