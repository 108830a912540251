from __future__ import annotations

import asyncio

from server.core.turns import LOOK_SECONDS, MOST, Turns


async def test_who_comes_first_does_not_wait() -> None:
    turning = Turns().turn()
    try:
        turning.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits for nobody")


class Work:
    """Tasks that each take so long, by a clock of their own, and what the event loop did besides."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._now = 0.0
        self.turns = Turns(lambda: self._now)
        self.done: list[str] = []

    async def one(self) -> None:
        await self.turns.turn()
        self._now += self._seconds
        self.done.append("turn")

    def look(self) -> None:
        self.done.append("look")
        if self.done.count("look") < 500:
            asyncio.get_running_loop().call_soon(self.look)

    async def all(self, count: int) -> list[int]:
        """How many turns there were between each look and the next, as long as there were any."""
        tasks = [asyncio.create_task(self.one()) for _ in range(count)]
        asyncio.get_running_loop().call_soon(self.look)
        await asyncio.gather(*tasks)
        assert self.done.count("turn") == count
        found = [len(part.split()) for part in " ".join(self.done).split("look")]
        return [turns for turns in found if turns]


async def test_what_takes_long_is_done_one_by_one() -> None:
    found = await Work(LOOK_SECONDS * 1.5).all(10)
    assert len(found) >= 9
    assert max(found) <= 2


async def test_what_takes_little_is_done_together_but_not_for_longer_than_a_look() -> None:
    found = await Work(LOOK_SECONDS / 8).all(200)
    # It is learned.
    assert found[0] == 1
    assert 8 <= max(found) <= 20
    assert len(found) < 60


async def test_however_quick_it_is_the_loop_looks() -> None:
    found = await Work(0.0).all(3000)
    assert max(found) == MOST


async def test_calls_and_tasks_stand_in_one_line() -> None:
    turns, done = Turns(), list[str]()

    async def work(name: str) -> None:
        await turns.turn()
        done.append(name)

    first = asyncio.create_task(work("first"))
    await first
    turns.soon(lambda: done.append("second"))
    third = asyncio.create_task(work("third"))
    await third
    assert done == ["first", "second", "third"]


async def test_a_place_whose_task_has_left_holds_up_nobody() -> None:
    turns, done = Turns(), list[int]()

    async def work(number: int) -> None:
        await turns.turn()
        done.append(number)

    tasks = [asyncio.create_task(work(number)) for number in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.wait(tasks)
    assert done == [0, 2, 3]
    assert tasks[1].cancelled()
