"""Refresh rotation: each refresh token is used once, and its use gives the next one (docs/sessions.md)."""

from __future__ import annotations

import asyncio

import structlog

from server.core.clock import EARLIEST_MS, Clock
from server.sessions.errors import USER_DISABLED, RefreshExpired, RefreshInvalid, RefreshReused
from server.sessions.issuing import IssuedTokens, TokenIssuer
from server.sessions.model import Session
from server.sessions.refresh_token import RefreshToken, RefreshTokens
from server.sessions.repository import SessionRepository
from server.sessions.service import Sessions
from server.settings.tree import SessionSettings

# The clocks of nodes may differ by this much.
_AHEAD_MS = 60_000

_log = structlog.get_logger("watchword.sessions")


class RefreshRotation:
    """Moves the chain of a session on, and ends the session when an old token of it comes back."""

    def __init__(
        self,
        *,
        repository: SessionRepository,
        sessions: Sessions,
        refresh_tokens: RefreshTokens,
        issuer: TokenIssuer,
        clock: Clock,
        settings: SessionSettings,
    ) -> None:
        self._repository = repository
        self._sessions = sessions
        self._refresh_tokens = refresh_tokens
        self._issuer = issuer
        self._clock = clock
        self._settings = settings

    async def refresh(self, refresh_token: str, ip: str | None = None) -> IssuedTokens:
        """Move the session's chain one step and issue its tokens; `ip` is the address that asks.

        If the same token is used several times at the same moment, one call moves the chain, and all get the same
        successor. So do retries inside the window. Raises RefreshInvalid, RefreshExpired; or RefreshReused, and then
        the session has ended (RFC 9700 section 4.14.2).
        """
        token = self._refresh_tokens.read(refresh_token)
        if token is None:
            raise RefreshInvalid
        now = self._clock.now_ms()
        # A clock that is far behind, as after a boot, must not shorten the life of a session.
        idle_expires_at = None if now < EARLIEST_MS else now + self._settings.idle_ttl_seconds * 1000
        found = await self._repository.step_session(token.session_id, token.step, now, idle_expires_at, ip)
        if found is None:
            found = await self._repository.get_session(token.session_id)
            if found is None:
                raise RefreshInvalid
            await self._require_successor(found.session, token)
        return self._issuer.issue(found, now)

    def session_of(self, refresh_token: str) -> str | None:
        """The id of the session that a refresh token belongs to, whatever its step; None if it was not issued here."""
        token = self._refresh_tokens.read(refresh_token)
        return None if token is None else token.session_id

    async def _require_successor(self, session: Session, token: RefreshToken) -> None:
        """Return if the successor of this token is the session's current one and may still be repeated."""
        now = self._clock.now_ms()
        if session.idle_expires_at <= now:
            raise RefreshExpired
        one_step_old = session.step == token.step + 1
        # A time ahead is of a clock that was set back since: it must not keep the window open until then.
        in_window = -_AHEAD_MS <= now - session.stepped_at <= self._settings.retry_window_seconds * 1000
        if session.step > token.step and not (one_step_old and in_window):
            if session.ended_at is None:
                # Log before the await: a client that disconnects cancels this task.
                _log.warning("refresh token reused: its session ends", session=session.id, user=session.user_id)
                await asyncio.shield(self._sessions.end_reused(session.id))
            raise RefreshReused
        if session.ended_at is not None and await self._repository.has_disabled_user(session.id):
            # Only who has held the token of this session is told, so a page can say it to its user.
            raise RefreshInvalid("This account is disabled.", reason=USER_DISABLED)
        if session.ended_at is not None or not one_step_old:
            raise RefreshInvalid
