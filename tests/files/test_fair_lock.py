from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from server.core.errors import StoreUnavailable
from server.files import file_lock
from server.files.fair_lock import FairLock
from server.files.file_lock import FileLock
from tests.calling import DEADLINE_SECONDS


async def test_who_takes_the_lock_again_comes_behind_who_waits(tmp_path: Path) -> None:
    """Else a busy server would keep every command out."""
    order: list[str] = []
    busy, command = FairLock(tmp_path / "lock"), FairLock(tmp_path / "lock")

    async def wait() -> None:
        async with command.held():
            order.append("command")

    async with busy.held():
        order.append("server")
        waiting = asyncio.create_task(wait())
        # It takes the turn at its first step, and finds the lock taken.
        await asyncio.sleep(0)
    async with busy.held():
        order.append("server")
    await waiting
    assert order == ["server", "command", "server"]
    busy.close()
    command.close()


async def test_a_lock_that_never_gets_free_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_lock, "WAIT_SECONDS", 0)
    holder, waiter = FileLock(tmp_path / "lock"), FairLock(tmp_path / "lock")
    assert holder.try_acquire()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            async with waiter.held():
                pytest.fail("it was held twice")
    holder.release()
    # Who gave up keeps nobody out, not even itself.
    async with waiter.held(DEADLINE_SECONDS):
        assert not holder.try_acquire()
    holder.close()
    waiter.close()


async def test_none_of_several_is_overtaken_again_and_again(tmp_path: Path) -> None:
    """As the workers of a busy server."""
    acquired: list[int] = []
    overtaken: list[int] = []

    async def work(number: int) -> None:
        lock = FairLock(tmp_path / "lock")
        for _ in range(50):
            asked = len(acquired)
            async with lock.held():
                overtaken.append(len(acquired) - asked)
                acquired.append(number)
                await asyncio.sleep(0.0005)
        lock.close()

    await asyncio.gather(*(work(number) for number in range(4)))
    overtaken.sort()
    # In the order in which they ask it is three. The system may wake two in another order.
    assert 3 <= overtaken[100] <= 4
    # On a busy machine it may let one that was woken sleep on.
    assert overtaken[-6] <= 8
    # Without an order the first one has all its turns before.
    assert overtaken[-1] < 50


async def test_a_wait_that_was_given_up_takes_the_lock_from_nobody(tmp_path: Path) -> None:
    """Whether the lock comes before, at the moment, or after it was given up."""
    lock, other = FairLock(tmp_path / "lock"), FileLock(tmp_path / "lock")

    async def hold() -> None:
        async with lock.held():
            pass

    for number in range(60):
        assert other.try_acquire()
        waiting = asyncio.create_task(hold())
        await asyncio.sleep(0.0002 * (number % 3))
        if number % 2:
            waiting.cancel()
            other.release()
        else:
            other.release()
            waiting.cancel()
        await asyncio.wait([waiting])
        async with lock.held():
            assert not other.try_acquire()
    lock.close()
    other.close()
