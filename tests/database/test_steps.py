from __future__ import annotations

import asyncio

import pytest

from server.database import steps
from server.database.steps import FIRST_STEP, LEAST_STEP, MOST_STEP, in_steps


class Table:
    """So many rows, and how long a step takes for each of them."""

    def __init__(self, rows: int, seconds_a_row: float) -> None:
        self.rows = rows
        self.seconds_a_row = seconds_a_row
        self.limits: list[int] = []

    async def delete(self, limit: int) -> int:
        self.limits.append(limit)
        deleted = min(limit, self.rows)
        self.rows -= deleted
        await asyncio.sleep(deleted * self.seconds_a_row)
        return deleted


async def test_it_ends_when_a_step_finds_less() -> None:
    for rows in (0, 1, FIRST_STEP - 1, FIRST_STEP, FIRST_STEP + 1, 1000):
        table = Table(rows, 0)
        assert await in_steps(table.delete) == rows
        assert table.rows == 0
        assert len(table.limits) >= 1 + (rows >= FIRST_STEP)


async def test_quick_steps_become_longer_and_slow_ones_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    # However slow the machine is: any step is quick, or none is.
    monkeypatch.setattr(steps, "STEP_SECONDS", 1000)
    quick = Table(10 * MOST_STEP, 0)
    await in_steps(quick.delete)
    assert quick.limits[:3] == [FIRST_STEP, FIRST_STEP * 2, FIRST_STEP * 4]
    assert max(quick.limits) == MOST_STEP
    monkeypatch.setattr(steps, "STEP_SECONDS", 0)
    slow = Table(10 * LEAST_STEP + 2 * FIRST_STEP, 0)
    await in_steps(slow.delete)
    assert slow.limits[1] == FIRST_STEP // 2
    assert slow.limits[-1] == LEAST_STEP


async def test_others_have_as_much_time_as_a_step_took(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    async def delete(_: int) -> int:
        await sleep(0.003)
        return FIRST_STEP if not slept else 0

    monkeypatch.setattr(asyncio, "sleep", note)
    await in_steps(delete)
    assert len(slept) == 1
    assert slept[0] >= 0.003
