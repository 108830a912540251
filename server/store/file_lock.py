"""A lock between processes on one machine."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from server.errors import StoreRefused, StoreUnavailable

WAIT_SECONDS = 4.0
LOCKED = "another process holds a lock on the store"
SHORTEST_PAUSE_SECONDS = 0.0005
LONGEST_PAUSE_SECONDS = 0.01


class FileLock:
    """An exclusive lock on a file (flock). The kernel releases it when its holder dies, so it is never left behind."""

    def __init__(self, path: Path) -> None:
        """Open the file, and make it if need be, with mode 0600. Raises StoreRefused."""
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreRefused(
                f"can't open the lock file {path} ({error.strerror}); give this user the right to write there"
            ) from error

    def try_acquire(self) -> bool:
        """Take the lock if it is free."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Let the next one have it."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Release the lock for good. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class FairLock:
    """A lock on `path` for those who take it again and again, and for those who wait.

    A waiter holds the turn, a second lock, until it has the first. So a busy server, which lets go of the lock only to
    take it again, can't pass a command that came before.
    """

    def __init__(self, path: Path) -> None:
        """Open the files. Raises StoreRefused."""
        self._lock = FileLock(path)
        self._turn = FileLock(path.with_name(f"{path.name}.turn"))

    @asynccontextmanager
    async def held(self, wait_seconds: float | None = None) -> AsyncIterator[None]:
        """Hold the lock. Raises StoreUnavailable if it was not free for so long (WAIT_SECONDS)."""
        deadline = asyncio.get_running_loop().time() + (WAIT_SECONDS if wait_seconds is None else wait_seconds)
        await _acquire(self._turn, deadline)
        try:
            await _acquire(self._lock, deadline)
        finally:
            self._turn.release()
        try:
            yield
        finally:
            self._lock.release()

    def close(self) -> None:
        """Release it for good. May be called twice."""
        self._lock.close()
        self._turn.close()


async def _acquire(lock: FileLock, deadline: float) -> None:
    pause = SHORTEST_PAUSE_SECONDS
    while not lock.try_acquire():
        if asyncio.get_running_loop().time() >= deadline:
            failure = StoreUnavailable()
            failure.reason = LOCKED
            raise failure
        await asyncio.sleep(pause)
        pause = min(pause * 1.3, LONGEST_PAUSE_SECONDS)
