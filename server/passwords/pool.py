"""Computes hashes on a few threads of low priority with a bounded queue, so many logins slow only logins."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from server.core.errors import Overloaded
from server.core.priority import lower_priority
from server.passwords.hasher import Hasher
from server.settings.cores import usable_cores

Result = TypeVar("Result")

# A hash that waits longer than it may, by so much, since hashes have become slower meanwhile, is given up.
_SLACK = 1.2


class NeverBegun(asyncio.CancelledError):
    """The caller was cancelled while its hash waited, so no password was checked."""


class HashPool:
    """Runs a Hasher on threads. bcrypt releases the interpreter lock, so the event loop goes on."""

    def __init__(self, hasher: Hasher, threads: int, queue: int, wait_seconds: float) -> None:
        """At most `queue` hashes wait, and none that is expected to wait longer than `wait_seconds`."""
        self.hasher = hasher
        self._threads = threads or usable_cores()
        self._queue = queue
        self._wait_seconds = wait_seconds
        self._executor = _executor(self._threads)
        # The waiting and running hashes, in the order in which they begin.
        self._pending: dict[Future[Any], None] = {}
        self._counting = threading.Lock()
        self._average_seconds = hasher.usual_seconds
        self._closed = False

    @property
    def waiting(self) -> int:
        """The number of hashes that no thread has begun."""
        return max(0, len(self._pending) - self._threads)

    @property
    def limit(self) -> int:
        """How many may wait."""
        return self._queue

    @property
    def threads(self) -> int:
        """How many are computed at the same time."""
        return self._threads

    def change(self, hasher: Hasher, threads: int, queue: int, wait_seconds: float) -> None:
        """Hash in this way from now on. What waits for the former threads is still done by them."""
        if hasher.usual_seconds != self.hasher.usual_seconds:
            self._average_seconds = hasher.usual_seconds
        self.hasher, self._queue, self._wait_seconds = hasher, queue, wait_seconds
        threads = threads or usable_cores()
        if threads != self._threads:
            former = self._executor
            self._threads, self._executor = threads, _executor(threads)
            former.shutdown(wait=False)

    def require_room(self) -> None:
        """Raise Overloaded if a hash would be refused now. It is for what costs something before the hash."""
        if not self._has_room():
            raise Overloaded(self._retry_after_seconds())

    async def hash(self, password: str) -> str:
        """A new hash. Raises Overloaded."""
        return await self._run(lambda: self.hasher.hash(password))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether the password fits the hash. None is False, after the same time. Raises Overloaded."""
        return await self._run(lambda: self.hasher.verify(password, password_hash))

    async def learn(self, password_hashes: Sequence[str]) -> None:
        """Measure what checks of these hashes cost, one by one, on a separate thread that delays no login."""
        thread = ThreadPoolExecutor(1, "learn", initializer=lower_priority)
        run = asyncio.get_running_loop().run_in_executor
        try:
            for password_hash in await run(thread, self.hasher.unknown_kinds, password_hashes):
                await run(thread, self.hasher.learn, password_hash)
        finally:
            thread.shutdown(wait=False, cancel_futures=True)

    def needs_renewal(self, password_hash: str) -> bool:
        """Whether a new hash should replace this one, for example with a higher cost."""
        return self.hasher.needs_renewal(password_hash)

    def stop_waiting(self) -> None:
        """From now on only a hash that a free thread can begin at once is accepted; waiting ones raise Overloaded."""
        self._queue = 0
        with self._counting:
            pending = list(self._pending)
        for future in pending[self._threads :]:
            future.cancel()

    def close(self) -> None:
        """Cancel the waiting hashes. Running ones end by themselves, and the process waits for them."""
        self._closed = True
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], Result]) -> Result:
        self.require_room()
        future = self._executor.submit(self._timed, work)
        with self._counting:
            self._pending[future] = None
        # The future calls it, not the caller: a running hash goes on if its caller has left.
        future.add_done_callback(self._done)
        # It does nothing to a hash that has begun.
        timer = asyncio.get_running_loop().call_later(self._wait_seconds * _SLACK, future.cancel)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            # If no thread has begun the hash, it never runs.
            if not future.cancel():
                raise
            task = asyncio.current_task()
            if task is not None and not task.cancelling():
                # `stop_waiting`, `close` or the timer has cancelled the hash, not the caller.
                raise Overloaded(self._retry_after_seconds()) from None
            raise NeverBegun from None
        finally:
            timer.cancel()

    def _has_room(self) -> bool:
        before = len(self._pending) - self._threads + 1
        if self._closed or before > self._queue:
            return False
        # Who is refused at once can come again. Of who waits for long the client may give up, and the hash is in vain.
        return before <= 0 or before * self._average_seconds <= self._wait_seconds * self._threads

    def _done(self, future: Future[Any]) -> None:
        """Forget a hash. It runs on the thread that finished the hash, or on the caller's if it was cancelled."""
        with self._counting:
            self._pending.pop(future, None)

    def _timed(self, work: Callable[[], Result]) -> Result:
        started = time.perf_counter()
        try:
            return work()
        finally:
            self._average_seconds += (time.perf_counter() - started - self._average_seconds) / 8

    def _retry_after_seconds(self) -> int:
        return max(1, round(len(self._pending) * self._average_seconds / self._threads))


def _executor(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "hash", initializer=lower_priority)
