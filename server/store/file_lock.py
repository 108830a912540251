"""Locks between processes, by flock(2). The kernel lets go of them when a process ends, however it ends."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from server.errors import StoreUnavailable

_PATIENCE_SECONDS = 10.0
_PAUSE_SECONDS = 0.002


class FileLock:
    """A lock file. It stays when the lock is gone: deleting it would let two processes lock two files of one name."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def try_lock(self) -> bool:
        """Take the lock if nobody has it."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold the lock, without blocking the event loop for it. Raises StoreUnavailable after 10 s."""
        for _ in range(int(_PATIENCE_SECONDS / _PAUSE_SECONDS)):
            if self.try_lock():
                break
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            raise StoreUnavailable
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
