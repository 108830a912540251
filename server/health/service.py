"""Whether a login could succeed now. It is checked by a write: a store that can be read may be full or read-only."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Protocol

import structlog

from server.core.clock import Clock
from server.core.errors import StoreUnavailable
from server.health.errors import Draining, NotReady, not_ready
from server.health.repository import ReadinessRepository
from server.keys.signer import SigningKeys

# There is at most one write in this time, however often the check is called.
FRESH_SECONDS = 1.0
# After a failure it is tried again sooner, since requests come back only when the check succeeds.
FRESH_FAILURE_SECONDS = 0.2
# The answer is there within a second, so the check has a little less.
WAIT_SECONDS = 0.9

_log = structlog.get_logger("watchword")


class LoginKeys(SigningKeys, Protocol):
    """The keys that a login needs."""

    def token_key(self, purpose: str) -> bytes:
        """The key of refresh tokens, among others. Raises StoreUnavailable if it can't be opened."""
        ...


class Readiness:
    """Checks the store and the keys of a login. Calls during a check share its result."""

    def __init__(self, readiness: ReadinessRepository, keys: LoginKeys, clock: Clock) -> None:
        self._readiness = readiness
        self._keys = keys
        self._clock = clock
        self._trying: asyncio.Task[NotReady | None] | None = None
        self._tried_at = 0.0
        # The result of the last try that has ended.
        self._latest: NotReady | None = None
        self._draining = False

    def drain(self) -> None:
        """The server ends: from now on it is not ready."""
        self._draining = True

    async def check(self) -> None:
        """Return if a login could succeed. Raises NotReady or Draining, after WAIT_SECONDS at the latest."""
        if self._draining:
            raise Draining
        now = self._clock.monotonic()
        fresh_seconds = FRESH_SECONDS if self._latest is None else FRESH_FAILURE_SECONDS
        if self._trying is None or (self._trying.done() and not 0 <= now - self._tried_at < fresh_seconds):
            # In a context of its own: that of the first request to ask would keep the request in memory.
            self._trying = asyncio.create_task(self._try(), context=Context())
            self._tried_at = now
        # A check that takes longer goes on, and later calls get its result.
        await asyncio.wait([self._trying], timeout=WAIT_SECONDS)
        failure = self._trying.result() if self._trying.done() else self._latest or NotReady("store_slow")
        if failure is not None:
            # A new error for each caller, since an error that is raised again keeps the frames of all its requests.
            raise NotReady(failure.members["reason"], failure.detail)

    async def _try(self) -> NotReady | None:
        self._latest = await self._find_failure()
        return self._latest

    async def _find_failure(self) -> NotReady | None:
        try:
            await self._readiness.ping()
            return self._find_missing_key()
        except StoreUnavailable as failure:
            return not_ready(failure)
        except Exception:  # noqa: BLE001 - the answer is "not ready", and the log says why
            _log.exception("readiness could not be tried")
            return NotReady("check_failed")

    def _find_missing_key(self) -> NotReady | None:
        try:
            self._keys.signing_key()
            self._keys.token_key("refresh token")
        except StoreUnavailable:
            return NotReady("no_signing_key")
        return None
