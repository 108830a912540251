"""A pool that tells an observer of each hash. Without an observer it is not there, so it costs nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

from server.core.observer import Observer
from server.passwords.hasher import Hasher
from server.passwords.pool import HashPool, Result


class ObservedHashPool(HashPool):
    """A HashPool with an observer."""

    def __init__(self, hasher: Hasher, threads: int, queue: int, wait_seconds: float, observer: Observer) -> None:
        super().__init__(hasher, threads, queue, wait_seconds)
        self._observer = observer

    async def _run(self, work: Callable[[], Result]) -> Result:
        submitted = time.monotonic()
        began: list[float] = []

        def noted() -> Result:
            began.append(time.monotonic())
            return work()

        try:
            return await super()._run(noted)
        finally:
            # A hash that never began, since the queue was full or its client left, has no times.
            if began:
                self._observer.hashed(submitted, began[0])
