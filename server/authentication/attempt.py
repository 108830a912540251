"""One attempt, from when it is taken until it is known how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

import structlog

from server.audit.model import AuditNote
from server.authentication.attempts import Attempts
from server.authentication.errors import TooManyAttempts
from server.authentication.model import AttemptCounter, AttemptLimits
from server.core.clock import Clock
from server.core.errors import Overloaded, StoreUnavailable
from server.passwords.pool import NeverBegun

_log = structlog.get_logger("watchword.limits")


class Attempt:
    """A look at one password: `async with` takes it from its limits, or raises TooManyAttempts or Overloaded.

    Inside, say how it ended, by `failed` or `succeeded`. Else what leaves the block decides: what says that nothing was
    looked at, or nothing told, gives the attempt back, as does the end of the block; everything else is a failure.
    """

    def __init__(
        self, attempts: Attempts, clock: Clock, counted: Sequence[AttemptCounter], *wanted: AttemptLimits
    ) -> None:
        """`wanted`: the first one that is not used up is taken. `counted`: what a success lets begin anew."""
        self._attempts = attempts
        self._clock = clock
        self._counted = counted
        self._wanted = wanted
        self._taken = AttemptLimits()
        self._ended = False

    @property
    def is_strangers(self) -> bool:
        """Whether it pays with budgets."""
        return bool(self._taken.budgets)

    async def __aenter__(self) -> Self:
        *earlier, last = self._wanted
        for wanted in earlier:
            with suppress(TooManyAttempts):
                return await self._take(wanted)
        return await self._take(last)

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._ended:
            return
        if error is None or isinstance(error, NeverBegun | Overloaded | StoreUnavailable):
            # If that fails, it ends by itself.
            with suppress(StoreUnavailable):
                await asyncio.shield(self._attempts.give_back(self._taken))
        else:
            await self.failed()

    async def failed(self, note: AuditNote | None = None) -> None:
        """It was wrong, or nobody waited for the outcome. The note is recorded in the same step."""
        self._ended = True
        await asyncio.shield(self._attempts.note_failure(self._taken, self._clock.now_ms(), note))

    async def succeeded(self) -> None:
        """It was right: whatever was wrong before is forgotten; if the store fails just now, at the next success."""
        self._ended = True
        try:
            await asyncio.shield(self._attempts.settle(self._taken, [*self._counted, *self._taken.counters]))
        except StoreUnavailable:
            _log.warning("a right password could not be noted: wrong ones before it still count")

    async def _take(self, wanted: AttemptLimits) -> Self:
        taking = asyncio.ensure_future(self._attempts.take(wanted, self._clock.now_ms()))
        try:
            self._taken = await asyncio.shield(taking)
        except asyncio.CancelledError:
            # The client has left meanwhile; what was taken all the same is given back.
            with suppress(TooManyAttempts, Overloaded, StoreUnavailable):
                await asyncio.shield(self._attempts.give_back(await taking))
            raise
        return self
