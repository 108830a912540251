"""Which access tokens are invalid although they have not expired: known in memory, so a check costs two look-ups.

Every process reads the revocations from the store at its start and whenever another one may have written some. Nothing
here compares clocks: a token is judged by its session and its role, not by when it was issued.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from server.clock import Clock
from server.errors import StoreUnavailable
from server.ids import made_at
from server.store.protocol import RevocationStore
from server.store.records import Revocation
from server.tokens.claims import AccessClaims

# A day, the longest life that a token can be given, whatever it is just now: another process, or this one before its
# restart, may have issued tokens of a longer one. And a minute, since clocks of nodes differ.
MEMORY_MS = 86_400_000 + 60_000
TIDY_MS = 60_000


class Revocations:
    """What was revoked, until the tokens have expired by themselves."""

    def __init__(self, store: RevocationStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._ended: dict[str, int] = {}
        self._roles: dict[str, Revocation] = {}
        self._cursor = "0"
        self._tidied_at = clock.now_ms()
        self._reading = asyncio.Lock()
        self._asked = 0
        self._told = 0

    def forget_at(self, now: int) -> int:
        """Until when a revocation of that moment has to be remembered."""
        return now + MEMORY_MS

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
        if current.role != claims.role:
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
        page = await self._store.revocations_since(self._cursor)
        for revocation in page.revocations:
            if revocation.session_id is not None:
                self._ended[revocation.session_id] = revocation.forget_at
            elif revocation.user_id is not None:
                known = self._roles.get(revocation.user_id)
                if known is None or known.number <= revocation.number:
                    self._roles[revocation.user_id] = revocation
        self._cursor = page.cursor
        self._tidy(self._clock.now_ms())

    async def soon(self) -> None:
        """After a change made here: know it before the answer goes out. If that fails, background.py will learn it."""
        with suppress(StoreUnavailable):
            await self.refresh()

    def _tidy(self, now: int) -> None:
        if now - self._tidied_at < TIDY_MS:
            return
        self._tidied_at = now
        self._ended = {session: until for session, until in self._ended.items() if until > now}
        self._roles = {user: entry for user, entry in self._roles.items() if entry.forget_at > now}
