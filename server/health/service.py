"""Whether a login could succeed now: by writing, since a store that can be read may be full, or for reading only."""

from __future__ import annotations

import asyncio

import structlog

from server.core.clock import Clock
from server.core.errors import StoreUnavailable
from server.health.repository import ReadinessRepository
from server.keys.signer import SigningKeys

# However many ask, and however often, there is one write in so many seconds.
FRESH_SECONDS = 1.0
WAIT_SECONDS = 1.0

_log = structlog.get_logger("watchword")


class Readiness:
    """Tries it out, once for all who ask meanwhile."""

    def __init__(self, readiness: ReadinessRepository, keys: SigningKeys, clock: Clock) -> None:
        self._readiness = readiness
        self._keys = keys
        self._clock = clock
        self._trying: asyncio.Task[bool] | None = None
        self._tried_at = 0.0

    async def check(self) -> None:
        """Return if a login could succeed. Raises StoreUnavailable, after WAIT_SECONDS at the latest."""
        now = self._clock.monotonic()
        if self._trying is None or (self._trying.done() and not 0 <= now - self._tried_at < FRESH_SECONDS):
            self._trying, self._tried_at = asyncio.create_task(self._try()), now
        # What takes longer goes on, and is the answer for who asks later.
        await asyncio.wait([self._trying], timeout=WAIT_SECONDS)
        if not self._trying.done() or not self._trying.result():
            raise StoreUnavailable

    async def _try(self) -> bool:
        try:
            await self._readiness.ping()
            self._keys.signing_key()
        except StoreUnavailable:
            return False
        except Exception:  # noqa: BLE001 - whoever watches is told that it is not ready, and the log why
            _log.exception("readiness could not be tried")
            return False
        return True
