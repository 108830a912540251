from __future__ import annotations

import asyncio

import pytest

from server.http import refusals
from server.http.refusals import RefusalPace


class Clock:
    """A loop's clock that goes on when somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now, raising=False)
        monkeypatch.setattr("server.http.refusals.asyncio.sleep", self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


async def held(pace: RefusalPace, clock: Clock, count: int) -> list[float]:
    clock.slept.clear()
    for _ in range(count):
        await pace.keep()
    return clock.slept


async def test_few_refusals_are_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, pace = Clock(monkeypatch), RefusalPace()
    for _ in range(10):
        assert await held(pace, clock, 1) == []
        clock.now += 1 / refusals.A_SECOND


async def test_many_at_once_are_spread_and_none_waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, pace = Clock(monkeypatch), RefusalPace()
    slept = await held(pace, clock, 200)
    assert slept == sorted(slept)
    assert slept[0] == pytest.approx(1 / refusals.A_SECOND)
    assert max(slept) == pytest.approx(refusals.HOLD_SECONDS)


async def test_after_a_flood_the_next_is_soon_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, pace = Clock(monkeypatch), RefusalPace()
    await held(pace, clock, 10_000)
    clock.now += refusals.HOLD_SECONDS + 2 / refusals.A_SECOND
    assert await held(pace, clock, 1) == []
