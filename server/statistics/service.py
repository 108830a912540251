"""Counts what the console shows, and remembers it for a moment: with a million users a count is work for the store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from server.audit.repository import AuditRepository
from server.core.clock import Clock
from server.sessions.repository import SessionRepository
from server.statistics.model import Figures, SignInsOfHour
from server.users.repository import UserRepository

HOURS = 24
HOUR_MS = 3_600_000
REMEMBERED_SECONDS = 5.0
# Counting takes at most this part of the time: where it is slow, the figures are remembered for longer.
_COUNTING_PART = 0.05


class Statistics:
    """The figures of the whole server, as its store has them."""

    def __init__(
        self,
        *,
        users: UserRepository,
        sessions: SessionRepository,
        audit: AuditRepository,
        clock: Clock,
        roles: Sequence[str],
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._audit = audit
        self._clock = clock
        self._roles = roles
        self._counting: asyncio.Task[Figures] | None = None
        self._figures: Figures | None = None
        self._count_again_at = 0.0

    async def figures(self) -> Figures:
        """Of this moment, or of a few seconds ago. Calls at the same moment share a count. Raises StoreUnavailable."""
        if self._figures is not None and self._clock.monotonic() < self._count_again_at:
            return self._figures
        if self._counting is None:
            self._counting = asyncio.create_task(self._count())
            self._counting.add_done_callback(self._counted)
        # Whoever leaves does not take the count from the others.
        return await asyncio.shield(self._counting)

    def _counted(self, task: asyncio.Task[Figures]) -> None:
        self._counting = None
        if not task.cancelled():
            # Retrieve the exception, since all callers may have left.
            task.exception()

    async def _count(self) -> Figures:
        began = self._clock.monotonic()
        found = await self._users.count_by_role()
        figures = Figures(
            total=sum(found.values()),
            disabled=await self._users.count_disabled(),
            by_role={role: found.get(role, 0) for role in [*self._roles, *sorted(found.keys() - set(self._roles))]},
            sessions_live=await self._sessions.count_living(self._clock.now_ms()),
            sign_ins=await self._sign_ins(),
        )
        ended = self._clock.monotonic()
        self._figures = figures
        self._count_again_at = ended + max(REMEMBERED_SECONDS, (ended - began) / _COUNTING_PART)
        return figures

    async def _sign_ins(self) -> list[SignInsOfHour]:
        """The hours of the last day, the oldest first. The last one is the hour that runs, as UTC counts hours."""
        now = self._clock.now_ms()
        end = now - now % HOUR_MS + HOUR_MS
        hours = range(end - HOURS * HOUR_MS, end, HOUR_MS)
        found = await self._audit.count_sign_ins(hours, end)
        return [SignInsOfHour(hour, *counted) for hour, counted in zip(hours, found, strict=True)]
