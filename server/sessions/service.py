"""Sessions: signing in opens one, refresh tokens keep it, and many things end it (docs/sessions.md)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from server.audit.model import AuditEvent
from server.authentication.errors import ChangedMeanwhile
from server.authentication.model import Authenticated
from server.core.client import Client
from server.core.clock import Clock
from server.core.errors import NotFound
from server.core.ids import Ids
from server.keys.signer import Signer
from server.sessions.errors import RefreshExpired, RefreshInvalid, RefreshReused
from server.sessions.model import LAST_ID, PAGE, Session, UserSession
from server.sessions.refresh_token import RefreshToken, RefreshTokens
from server.sessions.repository import SessionRepository
from server.sessions.revocation import Revocations
from server.settings.tree import SessionSettings, TokenSettings
from watchword_client.claims import AccessClaims

USER_AGENT_LENGTH = 256
# A session that was used so far in the future, or before this program was, tells of a clock that is or was wrong.
AHEAD_MS = 86_400_000
EARLIEST_MS = 1_788_220_800_000  # 2026-09-01

_log = structlog.get_logger("watchword.sessions")


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """What a client holds after a login or a refresh. Lives are in seconds."""

    session_id: str
    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int


class Sessions:
    """Opens, refreshes and ends sessions, and issues their tokens."""

    def __init__(
        self,
        *,
        repository: SessionRepository,
        signer: Signer,
        refresh_tokens: RefreshTokens,
        revocations: Revocations,
        clock: Clock,
        ids: Ids,
        tokens: TokenSettings,
        sessions: SessionSettings,
    ) -> None:
        self._sessions = repository
        self._signer = signer
        self._refresh_tokens = refresh_tokens
        self._revocations = revocations
        self._clock = clock
        self._ids = ids
        self._tokens = tokens
        self._settings = sessions

    async def open(self, authenticated: Authenticated, client: Client) -> IssuedTokens:
        """For who has just proved who they are, in whatever way.

        Raises ChangedMeanwhile if the user was disabled, or the password changed, since the credentials were read.
        """
        credentials = authenticated.credentials
        now = self._clock.now_ms()
        expires_at = now + self._settings.max_ttl_seconds * 1000
        session = Session(
            id=self._ids.new_id(),
            user_id=credentials.user.id,
            step=0,
            created_at=now,
            stepped_at=now,
            idle_expires_at=min(now + self._settings.idle_ttl_seconds * 1000, expires_at),
            expires_at=expires_at,
            ip=client.ip,
            user_agent=client.user_agent[:USER_AGENT_LENGTH] if client.user_agent else None,
        )
        opened = await self._sessions.open_session(session, credentials.password_changed_at)
        if opened is None:
            raise ChangedMeanwhile
        return self._issue(opened, now)

    async def refresh(self, refresh_token: str, ip: str | None = None) -> IssuedTokens:
        """Move the session's chain one step and issue its tokens; `ip` is the address that asks.

        Of any number of simultaneous uses one moves the chain; the others, and retries inside the window, get the same
        successor. Raises RefreshInvalid, RefreshExpired; or RefreshReused, and then the session has ended
        (RFC 9700 section 4.14.2).
        """
        token = self._refresh_tokens.read(refresh_token)
        if token is None:
            raise RefreshInvalid
        now = self._clock.now_ms()
        # A clock that is far behind, as at the start of a machine, would shorten the life of a session that is in use.
        idle_expires_at = None if now < EARLIEST_MS else now + self._settings.idle_ttl_seconds * 1000
        found = await self._sessions.step_session(token.session_id, token.step, now, idle_expires_at, ip)
        if found is None:
            found = await self._sessions.get_session(token.session_id)
            if found is None:
                raise RefreshInvalid
            await self._require_successor(found.session, token)
        return self._issue(found, now)

    async def recount(self) -> None:
        """Sessions that a clock which was ahead has begun or renewed would live until that time: from now on, instead.

        Nothing happens by a clock that is far behind: it would end what is in use.
        """
        now = self._clock.now_ms()
        if now < EARLIEST_MS:
            return
        ahead = now + AHEAD_MS
        count = await self._sessions.recount_sessions(now, ahead, ahead + self._settings.idle_ttl_seconds * 1000)
        if count:
            _log.warning("sessions were used in the future: their lives are counted from now", sessions=count)

    async def _require_successor(self, session: Session, token: RefreshToken) -> None:
        """Return if the session's step is the one that this token leads to, and may still be told."""
        now = self._clock.now_ms()
        if session.idle_expires_at <= now:
            raise RefreshExpired
        one_step_old = session.step == token.step + 1
        in_window = now - session.stepped_at <= self._settings.retry_window_seconds * 1000
        if session.step > token.step and not (one_step_old and in_window):
            if session.ended_at is None:
                # First, since a client that leaves now would take the line with it.
                _log.warning("refresh token reused: its session ends", session=session.id, user=session.user_id)
                await asyncio.shield(self._end(session.id, None, AuditEvent.REFRESH_REUSED))
            raise RefreshReused
        if session.ended_at is not None or not one_step_old:
            raise RefreshInvalid

    def session_of(self, refresh_token: str) -> str | None:
        """The id of the session that a refresh token belongs to, whatever its step; None if it was not issued here."""
        token = self._refresh_tokens.read(refresh_token)
        return None if token is None else token.session_id

    async def list(self, user_id: str, limit: int = PAGE, before_id: str | None = None) -> list[Session]:
        """The living sessions of a user, the newest first; behind `before_id` in that order."""
        return await self._sessions.list_sessions(user_id, self._clock.now_ms(), limit, before_id or LAST_ID)

    async def end(self, session_id: str, user_id: str) -> None:
        """End one session of that user. Raises NotFound."""
        if not await self._end(session_id, user_id):
            raise NotFound("There is no such session.")

    async def log_out(self, session_id: str) -> None:
        """End a session, if it has not ended already."""
        await self._end(session_id, None, AuditEvent.LOGGED_OUT)

    async def end_all(self, user_id: str, keep_session_id: str | None = None) -> None:
        """End the sessions of a user, but for one."""
        now = self._clock.now_ms()
        await self._sessions.end_sessions_of(user_id, keep_session_id, now, self._revocations.forget_at(now))
        await self._revocations.soon()

    async def _end(self, session_id: str, user_id: str | None, event: AuditEvent = AuditEvent.SESSIONS_ENDED) -> bool:
        now = self._clock.now_ms()
        ended = await self._sessions.end_session(session_id, user_id, now, self._revocations.forget_at(now), event)
        if ended:
            await self._revocations.soon()
        return ended

    def _issue(self, found: UserSession, now: int) -> IssuedTokens:
        session = found.session
        issued_at = now // 1000
        # No token outlives its session.
        expires_at = max(issued_at + 1, min(issued_at + self._tokens.access_ttl_seconds, session.expires_at // 1000))
        claims = AccessClaims(
            issuer=self._tokens.issuer,
            subject=session.user_id,
            audience=self._tokens.audience,
            issued_at=issued_at,
            expires_at=expires_at,
            # Never older than the role that it carries: a token that is, is revoked.
            jti=self._ids.new_id(max(now, found.role_changed_at)),
            session_id=session.id,
            role=found.role,
            username=found.username,
        )
        return IssuedTokens(
            session_id=session.id,
            access_token=self._signer.sign(claims),
            expires_in=expires_at - issued_at,
            refresh_token=self._refresh_tokens.issue(session.id, session.step),
            refresh_expires_in=max(0, session.idle_expires_at - now) // 1000,
        )
