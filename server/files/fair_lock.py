"""A lock that processes on one machine get in the order in which they ask for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from server.core.errors import StoreUnavailable
from server.files import file_lock
from server.files.file_lock import LOCKED, FileLock


class FairLock:
    """A lock on `path`. One task of the process may use it at a time.

    Whoever waits holds a second lock, the turn, until it has the first. So a busy server, which releases the lock and
    takes it again at once, can't overtake a command that waits.
    """

    def __init__(self, path: Path) -> None:
        """Open the files. Raises StoreRefused."""
        self._lock = FileLock(path)
        self._turn = FileLock(path.with_name(f"{path.name}.turn"))
        self._waiting: _Waiting | None = None

    @asynccontextmanager
    async def held(self, wait_seconds: float | None = None) -> AsyncIterator[None]:
        """Hold the lock. Raises StoreUnavailable after `wait_seconds`, by default WAIT_SECONDS."""
        await self._acquire(file_lock.WAIT_SECONDS if wait_seconds is None else wait_seconds)
        try:
            yield
        finally:
            self._lock.release()

    async def _acquire(self, wait_seconds: float) -> None:
        if self._waiting is None or self._waiting.has_ended:
            has_turn = self._turn.try_acquire()
            if has_turn and self._lock.try_acquire():
                self._turn.release()
                return
            self._waiting = _Waiting(self._turn, self._lock, has_turn=has_turn)
        waiting = self._waiting
        acquired = waiting.join()
        try:
            async with asyncio.timeout(wait_seconds):
                await acquired
        except TimeoutError:
            waiting.leave()
            failure = StoreUnavailable()
            failure.reason = LOCKED
            raise failure from None
        except BaseException:
            waiting.leave()
            raise

    def close(self) -> None:
        """Release the lock and close its files. May be called twice."""
        self._lock.close()
        self._turn.close()


class _Waiting:
    """A thread that waits for the turn and then for the lock.

    The system wakes who waits, in their order and at once. A loop that asks again and again would be late, and of
    several that loop, each could be the next one. The price: a wait in a thread can't be cancelled. If its task has
    left, the thread goes on, and either the next task joins it, or it releases what it got.
    """

    def __init__(self, turn: FileLock, lock: FileLock, *, has_turn: bool) -> None:
        self._turn, self._lock, self._has_turn = turn, lock, has_turn
        self._changing = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._acquired: asyncio.Future[None] | None = None
        self.has_ended = False
        threading.Thread(target=self._run, name="lock", daemon=True).start()

    def join(self) -> asyncio.Future[None]:
        """A future that is done when the lock is held for who has called this."""
        with self._changing:
            self._loop = asyncio.get_running_loop()
            self._acquired = self._loop.create_future()
            if self.has_ended:
                # It ended between the look of the caller and this call, and nobody wanted the lock.
                self.has_ended = False
                threading.Thread(target=self._run, name="lock", daemon=True).start()
            return self._acquired

    def leave(self) -> None:
        """The task does not want the lock any more, even if it has got it meanwhile."""
        with self._changing:
            self._acquired = None
            if self.has_ended:
                self._lock.release()

    def _run(self) -> None:
        # The files may have been closed meanwhile: what is left to do then is nothing, since that has released all.
        with suppress(OSError, ValueError):
            if not self._has_turn:
                self._turn.acquire()
            self._has_turn = False
            self._lock.acquire()
            self._turn.release()
            with self._changing:
                self.has_ended = True
                if self._acquired is None:
                    self._lock.release()
                else:
                    self._loop.call_soon_threadsafe(_done, self._acquired)


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
