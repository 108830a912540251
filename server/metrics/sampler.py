"""What a process finds out about itself: twice a second how late its event loop is, and the rest at each scrape."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from server.core.errors import StoreUnavailable, TryLater
from server.metrics.collector import StoreState
from server.metrics.metrics import Metrics
from server.metrics.process_state import TICK_SECONDS
from server.services import Services

# Counting sessions may take this part of the time, and so may counting mails: a scrape counts anew only if the last
# count was quick.
COUNTING_PART = 0.01
COUNT_SECONDS = 1.0


class _Count:
    """A number of the store, as it was counted last."""

    def __init__(self) -> None:
        self._found: int | None = None
        self._again_at = 0.0

    async def ask(self, count: Callable[[], Awaitable[int]]) -> int | None:
        """The number; None if the store does not answer within COUNT_SECONDS."""
        started = time.monotonic()
        if started >= self._again_at:
            # Scrapes at the same moment do not count twice.
            self._again_at = started + COUNT_SECONDS
            try:
                async with asyncio.timeout(COUNT_SECONDS):
                    self._found = await count()
            except (StoreUnavailable, TimeoutError):
                self._found = None
            else:
                now = time.monotonic()
                self._again_at = now + (now - started) / COUNTING_PART
        return self._found


class Sampler:
    """Notes the state of this process, and asks what only the store knows."""

    def __init__(self, metrics: Metrics, services: Callable[[], Services]) -> None:
        """`services` are those that serve at the moment: a reload replaces them."""
        self._metrics = metrics
        self._services = services
        self._sessions_live, self._mails_waiting = _Count(), _Count()

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            due = time.monotonic() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            now = time.monotonic()
            self._metrics.state.tick(now, max(0.0, now - due))
            self.note()

    def note(self) -> None:
        """What costs nothing to find out."""
        services = self._services()
        self._metrics.state.hashes_waiting(services.hashes.waiting + services.preferred_hashes.waiting)

    async def ask(self) -> StoreState:
        """What is asked at a scrape, within three seconds."""
        self.note()
        try:
            await self._services().readiness.check()
            ready = True
        except TryLater:
            ready = False
        services = self._services()
        sessions_live = await self._sessions_live.ask(services.sessions.count_living)
        mails_waiting = await self._mails_waiting.ask(services.repositories.mails.count_waiting)
        return StoreState(ready, sessions_live, mails_waiting, self._signing_key_age())

    def _signing_key_age(self) -> float | None:
        now = self._services().clock.now_ms()
        record = self._services().keys.current.keyring.signing_record(now)
        return None if record is None else (now - record.activates_at) / 1000
