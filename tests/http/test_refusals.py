from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from server.http import refusals
from server.http.refusals import RefusalPace


class Clock:
    """A loop's clock, which a test sets on, and with it the timers that were started by `call_later`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self._timers: list[tuple[float, Callable[[], None]]] = []
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now, raising=False)
        monkeypatch.setattr(asyncio.get_running_loop(), "call_later", self._call_later, raising=False)

    def _call_later(self, seconds: float, call: Callable[[], None]) -> None:
        self._timers.append((self.now + seconds, call))

    async def pass_by(self, seconds: float) -> None:
        self.now += seconds
        due = [call for at, call in self._timers if at <= self.now]
        self._timers = [(at, call) for at, call in self._timers if at > self.now]
        for call in due:
            call()
        await everything()


async def everything() -> None:
    """Let what is ready run: it is sent in turns, and each round of the loop gives one more than the one before."""
    for _ in range(200):
        await asyncio.sleep(0)


async def refused(pace: RefusalPace, count: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(pace.keep()) for _ in range(count)]
    await everything()
    return tasks


def sent(tasks: list[asyncio.Task[None]]) -> int:
    return sum(task.done() for task in tasks)


async def test_few_refusals_are_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, pace = Clock(monkeypatch), RefusalPace()
    for _ in range(10):
        assert sent(await refused(pace, 1)) == 1
        await clock.pass_by(1 / refusals.A_SECOND)


async def test_many_at_once_are_sent_together_and_none_waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, pace = Clock(monkeypatch), RefusalPace()
    first = await refused(pace, 2000)
    assert sent(first) == 1
    await clock.pass_by(refusals.HOLD_SECONDS / 2)
    later = await refused(pace, 10)
    assert (sent(first), sent(later)) == (1, 0)
    await clock.pass_by(refusals.HOLD_SECONDS / 2)
    assert (sent(first), sent(later)) == (2000, 10)


async def test_who_leaves_meanwhile_keeps_nobody_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, pace = Clock(monkeypatch), RefusalPace()
    tasks = await refused(pace, 20)
    tasks[5].cancel()
    await clock.pass_by(refusals.HOLD_SECONDS)
    assert sent(tasks) == 20
    assert tasks[5].cancelled()


async def test_after_a_flood_the_next_is_soon_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, pace = Clock(monkeypatch), RefusalPace()
    flood = await refused(pace, 1000)
    await clock.pass_by(refusals.HOLD_SECONDS + 2 / refusals.A_SECOND)
    assert sent(flood) == 1000
    assert sent(await refused(pace, 1)) == 1
