"""What begins and ends sessions: each change is one unit, with its audit record last."""

from __future__ import annotations

from server.audit.model import AuditEvent, AuditNote
from server.audit.repository import AuditRepository
from server.database.driver import Driver, Transaction
from server.sessions.model import Session, UserSession
from server.sessions.repository import SessionRepository


class SessionChanges:
    """Runs the units. Each may raise StoreUnavailable."""

    def __init__(self, driver: Driver, sessions: SessionRepository, audit: AuditRepository) -> None:
        self._driver = driver
        self._sessions = sessions
        self._audit = audit

    async def open(self, session: Session, password_changed_at: int) -> UserSession | None:
        """None, and nothing is changed, if the user was disabled or has had another password since that time."""
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> UserSession | None:
            opened = await self._sessions.open(transaction, session, password_changed_at)
            if opened is not None:
                after = {"session_id": session.id, "user_agent": session.user_agent}
                note = AuditNote(
                    AuditEvent.LOGIN_SUCCEEDED,
                    session.created_at,
                    session.user_id,
                    opened.username,
                    after=after,
                    by_target=True,
                )
                await audit.write(transaction, note)
            return opened

        return await self._driver.write(unit)

    async def end(
        self,
        session_id: str,
        user_id: str | None,
        now: int,
        forget_at: int,
        event: AuditEvent = AuditEvent.SESSIONS_ENDED,
    ) -> bool:
        """False if there is no such living session, or it is not that user's."""
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> bool:
            ended = await self._sessions.end(transaction, session_id, user_id, now, forget_at)
            if ended is not None:
                after = {"session_id": session_id}
                by_target = event is AuditEvent.LOGGED_OUT
                note = AuditNote(event, now, ended.user_id, ended.username, after=after, by_target=by_target)
                await audit.write(transaction, note)
            return ended is not None

        return await self._driver.write(unit)

    async def end_all(self, user_id: str, keep_session_id: str | None, now: int, forget_at: int) -> int:
        """How many of the user's sessions have ended."""
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> int:
            ended = await self._sessions.end_all(transaction, user_id, keep_session_id, now, forget_at)
            if ended:
                after = {"sessions_ended": len(ended)}
                note = AuditNote(AuditEvent.SESSIONS_ENDED, now, user_id, ended[0].username, after=after)
                await audit.write(transaction, note)
            return len(ended)

        return await self._driver.write(unit)
