"""Whether a login could succeed now. It is checked by a write: a store that can be read may be full or read-only."""

from __future__ import annotations

import asyncio
from contextvars import Context

import structlog

from server.core.clock import Clock
from server.core.errors import StoreUnavailable
from server.health.repository import ReadinessRepository
from server.keys.signer import SigningKeys

# There is at most one write in this time, however often the check is called.
FRESH_SECONDS = 1.0
WAIT_SECONDS = 1.0

_log = structlog.get_logger("watchword")


class Readiness:
    """Checks the store and the signing key. Calls during a check share its result."""

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
            # In a context of its own: that of the first request to ask would keep the request in memory.
            self._trying = asyncio.create_task(self._try(), context=Context())
            self._tried_at = now
        # A check that takes longer goes on, and later calls get its result.
        await asyncio.wait([self._trying], timeout=WAIT_SECONDS)
        if not self._trying.done() or not self._trying.result():
            raise StoreUnavailable

    async def _try(self) -> bool:
        try:
            await self._readiness.ping()
            self._keys.signing_key()
        except StoreUnavailable:
            return False
        except Exception:  # noqa: BLE001 - the answer is "not ready", and the log says why
            _log.exception("readiness could not be tried")
            return False
        return True
