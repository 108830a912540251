"""Keeps the revocations in memory, so the check of a token costs two look-ups.

Every process reads the revocations from the store at its start and when another process may have written some. No
clocks are compared: the session and the role of a token decide, not the time of its issue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from server.core.clock import Clock, Steadiness
from server.core.errors import StoreUnavailable
from server.core.ids import made_at
from server.sessions.ended_sessions import EndedSessions, GatheredSessions
from server.sessions.model import Revocation, RevocationPage
from watchword_client.claims import AccessClaims

TIDY_MS = 60_000
# The change is in the store already, so the answer waits at most so long to read it back.
SOON_SECONDS = 1.0
# Requests are answered in between, if many were written at once.
_TAKEN_TOGETHER = 1000


class RevocationSource(Protocol):
    """A source of revocations that can be read on from a cursor, such as SessionRepository."""

    async def revocations_since(self, cursor: str) -> RevocationPage:
        """The next revocations that were committed since that cursor; "0" means all. None is ever left out."""
        ...


class Revocations:
    """The revocations whose tokens have not expired yet."""

    def __init__(
        self, sessions: RevocationSource, clock: Clock, access_ttl_seconds: int, *, follows: bool = True
    ) -> None:
        """A command does not follow: servers read what it has revoked. If it checks a token, it refreshes first."""
        self._sessions = sessions
        self._follows = follows
        self._clock = clock
        self._ended = EndedSessions()
        self._roles: dict[str, Revocation] = {}
        self._cursor = "0"
        self._is_first = True
        self._steadiness = Steadiness(clock, access_ttl_seconds)
        self._tidied_at = clock.monotonic()
        self._reading = asyncio.Lock()
        self._asked = 0
        self._told = 0

    def require(self, access_ttl_seconds: int) -> None:
        """Access tokens live so long from now on."""
        self._steadiness.require(access_ttl_seconds)

    def is_revoked(self, claims: AccessClaims) -> bool:
        """Whether the session of these claims has ended, or their role was changed since."""
        return claims.session_id in self._ended or self.has_other_role(claims)

    def has_ended(self, claims: AccessClaims) -> bool:
        """Whether the session of these claims has ended."""
        return claims.session_id in self._ended

    def has_other_role(self, claims: AccessClaims) -> bool:
        """Whether the role was changed after these claims were issued, even if it is the same again."""
        current = self._roles.get(claims.subject)
        if current is None:
            return False
        if current.role is not None and current.role != claims.role:
            return True
        made = made_at(claims.jti)
        return (claims.issued_at * 1000 if made is None else made) < current.role_changed_at

    async def refresh(self) -> None:
        """Read all revocations that were committed before this call. Raises StoreUnavailable.

        Calls during a read share the next read.
        """
        self._asked += 1
        mine = self._asked
        async with self._reading:
            if self._told < mine:
                asked = self._asked
                await self._read()
                self._told = asked

    async def _read(self) -> None:
        cursor, more = self._cursor, True
        roles = self._roles
        # At the start there may be a million, and nobody asks yet.
        gathered = GatheredSessions() if self._is_first else None
        while more:
            page = await self._sessions.revocations_since(cursor)
            cursor, more = page.cursor, page.more
            if page.whole:
                # Until all are there, those that are known decide.
                roles = {}
            (self._ended if gathered is None else gathered).add_packed(page.ended)
            await self._take(page.revocations, roles)
        if gathered is not None:
            self._ended.add_gathered(gathered)
            self._is_first = False
        if roles is not self._roles:
            known, self._roles = self._roles, roles
            self._keep_what_was_lost(known)
        # Only now: after a failure everything is read again.
        self._cursor = cursor
        self._tidy(self._clock.now_ms())

    async def _take(self, revocations: Sequence[Revocation], roles: dict[str, Revocation]) -> None:
        for start in range(0, len(revocations), _TAKEN_TOGETHER):
            if start:
                await asyncio.sleep(0)
            for revocation in revocations[start : start + _TAKEN_TOGETHER]:
                if revocation.session_id is not None:
                    self._ended.add(revocation.session_id, revocation.forget_at)
                elif revocation.user_id is not None:
                    earlier = roles.get(revocation.user_id)
                    if earlier is None or earlier.number <= revocation.number:
                        roles[revocation.user_id] = revocation

    def _keep_what_was_lost(self, known: Mapping[str, Revocation]) -> None:
        """Handle a failover to a store that lacks the latest changes of roles and uses their numbers again.

        Ended sessions stay ended here. Tokens from before a lost change stay revoked too. The store decides which role
        is right.
        """
        for user_id, lost in known.items():
            found = self._roles.get(user_id)
            if found is None:
                self._roles[user_id] = lost._replace(number=0, role=None)
            elif found.role_changed_at < lost.role_changed_at:
                self._roles[user_id] = found._replace(role_changed_at=lost.role_changed_at, forget_at=lost.forget_at)

    async def soon(self) -> None:
        """Read a change made here before its answer is sent. If that fails, background.py reads it later."""
        if not self._follows:
            return
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(SOON_SECONDS):
                await self.refresh()

    def _tidy(self, now: int) -> None:
        if not self._steadiness.holds():
            return
        self._ended.forget(now)
        if (self._clock.monotonic() - self._tidied_at) * 1000 < TIDY_MS:
            return
        self._tidied_at = self._clock.monotonic()
        self._roles = {user: entry for user, entry in self._roles.items() if entry.forget_at > now}
