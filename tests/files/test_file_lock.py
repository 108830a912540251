from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from server.core.errors import StoreUnavailable
from server.files import file_lock
from server.files.file_lock import FairLock, FileLock


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
    # The turn was given back, so the next one gets in.
    async with waiter.held():
        assert not holder.try_acquire()
    holder.close()
    waiter.close()
