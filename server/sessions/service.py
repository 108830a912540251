"""The life of sessions: signing in opens one, and many things end it (docs/sessions.md). refresh.py keeps it going.

Each change is one unit, with its audit record last (server/audit/repository.py tells why).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from server.audit.model import AuditEvent, AuditNote
from server.audit.repository import AuditRepository
from server.authentication.errors import ChangedMeanwhile, EmailNotConfirmed
from server.authentication.model import Authenticated
from server.core.client import Client
from server.core.clock import EARLIEST_MS, Clock
from server.core.errors import NotFound
from server.core.ids import LAST_ID, Ids
from server.database.driver import Driver, Transaction
from server.mail.notices import Notices
from server.sessions.errors import TokenRevoked
from server.sessions.issuing import IssuedTokens, TokenIssuer
from server.sessions.model import Session, UserSession
from server.sessions.repository import SessionRepository
from server.sessions.revocation import Revocations
from server.settings.tree import SessionSettings

USER_AGENT_LENGTH = 256
# If a session was last used further ahead than this, the clock was wrong when that was written.
AHEAD_MS = 86_400_000

_log = structlog.get_logger("watchword.sessions")


class Sessions:
    """Opens, lists and ends sessions. It checks nobody: `open` takes what was proved."""

    def __init__(
        self,
        *,
        driver: Driver,
        repository: SessionRepository,
        audit: AuditRepository,
        revocations: Revocations,
        notices: Notices,
        issuer: TokenIssuer,
        clock: Clock,
        ids: Ids,
        settings: SessionSettings,
    ) -> None:
        self._driver = driver
        self._repository = repository
        self._audit = audit
        self._revocations = revocations
        self._notices = notices
        self._issuer = issuer
        self._clock = clock
        self._ids = ids
        self._settings = settings

    async def open(self, authenticated: Authenticated, client: Client) -> IssuedTokens:
        """For who has just proved who they are, in whatever way.

        Raises ChangedMeanwhile if the user was disabled, or the password changed, since the credentials were read, or
        if what counts only once was used meanwhile; EmailNotConfirmed if the user has registered and has to confirm an
        address first.
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
            authenticated_at=now,
            amr=authenticated.methods,
        )
        known_device = authenticated.device_id is not None
        opened = await self.add(session, credentials.password_changed_at, authenticated.use, known_device=known_device)
        if opened is None:
            raise ChangedMeanwhile
        return self._issuer.issue(opened, now)

    async def add(
        self,
        session: Session,
        password_changed_at: int,
        use: Callable[[Transaction], Awaitable[bool]] | None = None,
        *,
        known_device: bool = False,
    ) -> UserSession | None:
        """None, and nothing is changed, if the user was disabled or has had another password since that time.

        Raises ChangedMeanwhile if `use` returns False (Authenticated.use); EmailNotConfirmed.
        """
        audit, notices = self._audit.writer(), self._notices.writer()
        client, now = Client(session.ip, session.user_agent), session.created_at

        async def unit(transaction: Transaction) -> UserSession | None:
            opened = await self._repository.open(transaction, session, password_changed_at)
            if opened is not None:
                if use is not None and not await use(transaction):
                    raise ChangedMeanwhile
                await notices.signed_in(transaction, session.user_id, client, now, known_device=known_device)
                note = AuditNote(
                    AuditEvent.LOGIN_SUCCEEDED,
                    now,
                    session.user_id,
                    opened.username,
                    after={"session_id": session.id, "user_agent": session.user_agent},
                    by_target=True,
                )
                await audit.write(transaction, note)
            elif await self._repository.waits_for_confirmation(transaction, session.user_id, password_changed_at):
                raise EmailNotConfirmed
            return opened

        opened = await self._driver.write(unit)
        notices.soon()
        return opened

    async def renew(self, session_id: str | None, authenticated: Authenticated) -> IssuedTokens:
        """For who has just proved again who they are, in a session of theirs.

        Raises TokenRevoked if the session is over, or the user was disabled, or the password changed, since the
        credentials were read.
        """
        user, now = authenticated.credentials.user, self._clock.now_ms()
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> UserSession:
            renewed = None
            if session_id is not None:
                renewed = await self._repository.renew(
                    transaction, session_id, now, authenticated.methods, authenticated.credentials.password_changed_at
                )
            if renewed is None:
                raise TokenRevoked(user.id)
            after = {"session_id": session_id}
            await audit.write(
                transaction, AuditNote(AuditEvent.REAUTHENTICATED, now, user.id, renewed.username, after=after)
            )
            return renewed

        return self._issuer.issue(await self._driver.write(unit), now)

    async def authenticated_at(self, session_id: str) -> int | None:
        """When the user of a living session has proved who they are, the last time (epoch ms)."""
        return await self._repository.authenticated_at(session_id)

    async def list(self, user_id: str, limit: int, before_id: str | None) -> list[Session]:
        """The living sessions of a user, the newest first; behind `before_id` in that order."""
        return await self._repository.list_sessions(user_id, self._clock.now_ms(), limit, before_id or LAST_ID)

    async def count(self, user_id: str) -> int:
        """How many living sessions a user has."""
        return await self._repository.count_sessions(user_id, self._clock.now_ms())

    async def count_living(self) -> int:
        """How many sessions can be refreshed, of all users."""
        return await self._repository.count_living(self._clock.now_ms())

    async def end(self, session_id: str, user_id: str) -> None:
        """End one session of that user. Raises NotFound."""
        if not await self.end_living(session_id, user_id, AuditEvent.SESSIONS_ENDED):
            raise NotFound("There is no such session.")

    async def log_out(self, session_id: str) -> None:
        """End a session, if it has not ended already."""
        await self.end_living(session_id, None, AuditEvent.LOGGED_OUT)

    async def end_reused(self, session_id: str) -> None:
        """End a session of which somebody else may hold a refresh token (RFC 9700 section 4.14.2)."""
        await self.end_living(session_id, None, AuditEvent.REFRESH_REUSED)

    async def end_living(self, session_id: str, user_id: str | None, event: AuditEvent) -> bool:
        """False if there is no such living session, or `user_id` is given and it is not that user's."""
        now = self._clock.now_ms()
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> bool:
            ended = await self._repository.end(transaction, session_id, user_id, now)
            if ended is not None:
                after = {"session_id": session_id}
                by_target = event is AuditEvent.LOGGED_OUT
                note = AuditNote(event, now, ended.user_id, ended.username, after=after, by_target=by_target)
                await audit.write(transaction, note)
            return ended is not None

        ended = await self._driver.write(unit)
        if ended:
            await self._revocations.soon()
        return ended

    async def end_all(self, user_id: str, keep_session_id: str | None = None) -> int:
        """End the sessions of a user, but for one; how many."""
        now = self._clock.now_ms()
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> int:
            ended = await self._repository.end_all(transaction, user_id, keep_session_id, now)
            if ended:
                after = {"sessions_ended": len(ended)}
                note = AuditNote(AuditEvent.SESSIONS_ENDED, now, user_id, ended[0].username, after=after)
                await audit.write(transaction, note)
            return len(ended)

        count = await self._driver.write(unit)
        await self._revocations.soon()
        return count

    async def repair_future_times(self) -> None:
        """Count the lives of sessions from now, if a clock that was ahead has begun or renewed them.

        Otherwise they would live until that time. While the clock is far behind nothing is done, since that would end
        sessions that are in use.
        """
        now = self._clock.now_ms()
        if now < EARLIEST_MS:
            return
        ahead = now + AHEAD_MS
        count = await self._repository.repair_future_times(now, ahead, ahead + self._settings.idle_ttl_seconds * 1000)
        if count:
            _log.warning("sessions were used in the future: their lives are counted from now", sessions=count)
