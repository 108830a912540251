from __future__ import annotations

import asyncio
import itertools

from server.core.turns import Turns


async def test_who_comes_first_does_not_wait() -> None:
    turning = Turns().turn()
    try:
        turning.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits for nobody")


async def test_between_two_turns_the_loop_does_everything_else() -> None:
    turns, done, loop = Turns(), list[str](), asyncio.get_running_loop()

    async def work(number: int) -> None:
        await turns.turn()
        done.append(f"turn {number}")

    def look() -> None:
        done.append("look")
        if len(done) < 20:
            loop.call_soon(look)

    tasks = [asyncio.create_task(work(number)) for number in range(4)]
    loop.call_soon(look)
    await asyncio.gather(*tasks)
    found = [what for what in done if what != "look"]
    assert found == ["turn 0", "turn 1", "turn 2", "turn 3"]
    # The first two may share one: what waits for nobody, and what has waited.
    places = [done.index(what) for what in found]
    assert all("look" in done[one:other] for one, other in itertools.pairwise(places[1:]))


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
