"""One attempt, from when it is taken until it is known how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from server.audit.model import AuditNote
from server.authentication.attempts import Attempts
from server.authentication.errors import TooManyAttempts
from server.authentication.model import AttemptCounter, AttemptLimits
from server.core.clock import Clock
from server.core.errors import Overloaded, StoreUnavailable
from server.passwords.pool import NeverBegun


class Attempt:
    """One check of a password: `async with` takes it from its limits, or raises TooManyAttempts or Overloaded.

    Inside the block call `failed` or `succeeded`. If neither was called, the exit of the block decides. The attempt is
    given back at a normal end, or at an exception which says that no password was checked or no result was told. Any
    other exception is a failure.
    """

    def __init__(
        self, attempts: Attempts, clock: Clock, counted: Sequence[AttemptCounter], *wanted: AttemptLimits
    ) -> None:
        """The first of `wanted` that is not used up is taken. A success resets the counters in `counted`."""
        self._attempts = attempts
        self._clock = clock
        self._counted = counted
        self._wanted = wanted
        self._taken = AttemptLimits()
        self._ended = False

    @property
    def is_strangers(self) -> bool:
        """Whether it counts as an attempt of an unknown device, which budgets pay for."""
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
            # If this fails, the attempt ends by itself (PERIOD_MS).
            with suppress(StoreUnavailable):
                await self._attempts.end(self._attempts.give_back(self._taken))
        else:
            await self.failed()

    async def failed(self, note: AuditNote | None = None) -> None:
        """Say that the password was wrong, or that the client left first. The note is in the same transaction."""
        self._ended = True
        await asyncio.shield(self._attempts.note_failure(self._taken, self._clock.now_ms(), note))

    async def succeeded(self) -> None:
        """Say that the password was right, and forget earlier failures; if the store fails, at the next success."""
        self._ended = True
        # The log says that the store has failed.
        with suppress(StoreUnavailable):
            counters = [*self._counted, *self._taken.counters]
            await self._attempts.end(self._attempts.settle(self._taken, counters))

    async def _take(self, wanted: AttemptLimits) -> Self:
        taking = asyncio.ensure_future(self._attempts.take(wanted, self._clock.now_ms()))
        try:
            self._taken = await asyncio.shield(taking)
        except asyncio.CancelledError:
            # The client has left meanwhile. If the attempt was taken anyway, give it back.
            with suppress(TooManyAttempts, Overloaded, StoreUnavailable):
                await asyncio.shield(self._attempts.give_back(await taking))
            raise
        return self
