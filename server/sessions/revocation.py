"""Which access tokens are invalid although they have not expired: known in memory, so a check costs two look-ups.

Every process reads the revocations from the store at its start and whenever another one may have written some. Nothing
here compares clocks: a token is judged by its session and its role, not by when it was issued.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from server.core.clock import Clock, Steadiness
from server.core.errors import StoreUnavailable
from server.core.ids import made_at
from server.sessions.model import Revocation, RevocationPage
from watchword_client.claims import AccessClaims

TIDY_MS = 60_000
# What was changed is in the store, so the answer does not wait longer than this for a store that fails just now.
SOON_SECONDS = 1.0


class RevocationSource(Protocol):
    """Where revocations come from, in the order in which processes can read on: SessionRepository."""

    async def revocations_since(self, cursor: str) -> RevocationPage:
        """All that were committed since the page of that cursor, "0" for all there are. None is ever passed over."""
        ...


class Revocations:
    """What was revoked, until the tokens have expired by themselves."""

    def __init__(self, sessions: RevocationSource, clock: Clock, access_ttl_seconds: int) -> None:
        self._sessions = sessions
        self._clock = clock
        self._ended: dict[str, int] = {}
        self._roles: dict[str, Revocation] = {}
        self._cursor = "0"
        self._steadiness = Steadiness(clock, access_ttl_seconds)
        self._tidied_at = clock.monotonic()
        self._reading = asyncio.Lock()
        self._asked = 0
        self._told = 0

    def is_revoked(self, claims: AccessClaims) -> bool:
        """Whether the session of these claims has ended, or their role was changed since."""
        return claims.session_id in self._ended or self.has_other_role(claims)

    def has_ended(self, claims: AccessClaims) -> bool:
        """Whether the session of these claims has ended."""
        return claims.session_id in self._ended

    def has_other_role(self, claims: AccessClaims) -> bool:
        """Whether the user's role was changed after these claims were made, even if it came back; as known here."""
        current = self._roles.get(claims.subject)
        if current is None:
            return False
        if current.role is not None and current.role != claims.role:
            return True
        made = made_at(claims.jti)
        return (claims.issued_at * 1000 if made is None else made) < current.role_changed_at

    async def refresh(self) -> None:
        """Read what is new, of all that was committed before this call. Raises StoreUnavailable.

        Calls that come while a read is under way share the next one.
        """
        self._asked += 1
        mine = self._asked
        async with self._reading:
            if self._told < mine:
                asked = self._asked
                await self._read()
                self._told = asked

    async def _read(self) -> None:
        page = await self._sessions.revocations_since(self._cursor)
        known, self._roles = self._roles, {} if page.whole else self._roles
        for revocation in page.revocations:
            if revocation.session_id is not None:
                self._ended[revocation.session_id] = revocation.forget_at
            elif revocation.user_id is not None:
                earlier = self._roles.get(revocation.user_id)
                if earlier is None or earlier.number <= revocation.number:
                    self._roles[revocation.user_id] = revocation
        if page.whole:
            self._keep_what_was_lost(known)
        self._cursor = page.cursor
        self._tidy(self._clock.now_ms())

    def _keep_what_was_lost(self, known: Mapping[str, Revocation]) -> None:
        """A store that took over may never have got the last changes of roles, and numbers its own from where it was.

        Ended sessions stay ended here. Tokens from before a lost change stay revoked too; what role is right is the
        store's to say.
        """
        for user_id, lost in known.items():
            found = self._roles.get(user_id)
            if found is None:
                self._roles[user_id] = replace(lost, number=0, role=None)
            elif found.role_changed_at < lost.role_changed_at:
                self._roles[user_id] = replace(found, role_changed_at=lost.role_changed_at, forget_at=lost.forget_at)

    async def soon(self) -> None:
        """After a change made here: know it before the answer goes out. If that fails, background.py will learn it."""
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(SOON_SECONDS):
                await self.refresh()

    def _tidy(self, now: int) -> None:
        if (self._clock.monotonic() - self._tidied_at) * 1000 < TIDY_MS or not self._steadiness.holds():
            return
        self._tidied_at = self._clock.monotonic()
        self._ended = {session: until for session, until in self._ended.items() if until > now}
        self._roles = {user: entry for user, entry in self._roles.items() if entry.forget_at > now}
