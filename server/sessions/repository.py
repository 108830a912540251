"""The queries about sessions, and about what revokes tokens that are already issued."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from server.audit.model import AuditEvent, AuditNote
from server.audit.repository import AuditRepository
from server.database.driver import Driver, Row, Transaction
from server.sessions.model import LAST_ID, PAGE, Revocation, RevocationPage, Session, UserSession

_SESSION = "id, user_id, step, created_at, stepped_at, idle_expires_at, expires_at, ip, user_agent, ended_at"

# Subqueries, since what an UPDATE returns can't be joined in SQLite.
_OF_USER = (
    "(SELECT username FROM users WHERE users.id = sessions.user_id), "
    "(SELECT role FROM users WHERE users.id = sessions.user_id), "
    "(SELECT role_changed_at FROM users WHERE users.id = sessions.user_id)"
)
_ENDED = "id, user_id, (SELECT username FROM users WHERE users.id = sessions.user_id)"
_REVOCATION = ("session_id", "user_id", "role", "role_changed_at", "forget_at")


class SessionRepository:
    """The SQL of sessions and revocations."""

    def __init__(self, driver: Driver, audit: AuditRepository) -> None:
        self._driver = driver
        self._audit = audit

    async def open_session(self, session: Session, password_changed_at: int) -> UserSession | None:
        """Locks the user's row by updating it first, so a change of the user comes wholly before or wholly after."""
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> UserSession | None:
            sql = (
                "UPDATE users SET last_login_at = $1 "
                "WHERE id = $2 AND disabled_at IS NULL AND password_changed_at = $3 "
                "RETURNING username, role, role_changed_at"
            )
            rows = await transaction.run(sql, session.created_at, session.user_id, password_changed_at)
            if not rows:
                return None
            await transaction.run(
                f"INSERT INTO sessions ({_SESSION}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                *astuple(session),
            )
            await audit.write(transaction, _login_note(session, rows[0][0]))
            return UserSession(session, *rows[0])

        return await self._driver.write(unit)

    async def get_session(self, session_id: str) -> UserSession | None:
        """By id. No session is without its user: the row goes with the user's."""
        if not session_id.isprintable():
            return None
        sql = f"SELECT {_SESSION}, {_OF_USER} FROM sessions WHERE id = $1"
        return _user_session(await self._driver.read(sql, session_id))

    async def list_sessions(self, user_id: str, now: int, limit: int = PAGE, before_id: str = LAST_ID) -> list[Session]:
        """By user, the newest first."""
        rows = await self._driver.read(
            f"SELECT {_SESSION} FROM sessions WHERE user_id = $1 AND ended_at IS NULL AND idle_expires_at > $2 "
            "AND id < $4 ORDER BY id DESC LIMIT $3",
            user_id,
            now,
            limit,
            before_id,
        )
        return [Session(*row) for row in rows]

    async def step_session(
        self, session_id: str, step: int, now: int, idle_expires_at: int | None, ip: str | None = None
    ) -> UserSession | None:
        """One statement: of any number of calls for the same step one finds its row."""
        # CASE, since SQLite and PostgreSQL have different names for the lesser of two values.
        sql = (
            "UPDATE sessions SET step = step + 1, stepped_at = $1, ip = COALESCE($5, ip), "
            "idle_expires_at = CASE WHEN expires_at < $2 THEN expires_at ELSE COALESCE($2, idle_expires_at) END "
            "WHERE id = $3 AND step = $4 AND ended_at IS NULL AND idle_expires_at > $1 "
            f"RETURNING {_SESSION}, {_OF_USER}"
        )
        return _user_session(await self._driver.write_one(sql, now, idle_expires_at, session_id, step, ip))

    async def end_session(
        self,
        session_id: str,
        user_id: str | None,
        now: int,
        forget_at: int,
        event: AuditEvent = AuditEvent.SESSIONS_ENDED,
    ) -> bool:
        """With its revocation, in one unit."""
        audit = self._audit.writer()
        condition, values = (
            ("id = $2", [session_id]) if user_id is None else ("id = $2 AND user_id = $3", [session_id, user_id])
        )

        async def unit(transaction: Transaction) -> bool:
            ended = await self._end(transaction, condition, values, now, forget_at)
            for _, owner_id, username in ended:
                after = {"session_id": session_id}
                by_target = event is AuditEvent.LOGGED_OUT
                note = AuditNote(event, now, owner_id, username, after=after, by_target=by_target)
                await audit.write(transaction, note)
            return bool(ended)

        return await self._driver.write(unit)

    async def end_sessions_of(self, user_id: str, keep_session_id: str | None, now: int, forget_at: int) -> int:
        """With their revocations, in one unit."""
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> int:
            ended = await self.end_all(transaction, user_id, keep_session_id, now, forget_at)
            if ended:
                after = {"sessions_ended": len(ended)}
                note = AuditNote(AuditEvent.SESSIONS_ENDED, now, user_id, ended[0][2], after=after)
                await audit.write(transaction, note)
            return len(ended)

        return await self._driver.write(unit)

    async def end_all(
        self, transaction: Transaction, user_id: str, keep_session_id: str | None, now: int, forget_at: int
    ) -> Sequence[Row]:
        """Inside a unit: end a user's sessions but one; which, as `_end` tells."""
        if keep_session_id is None:
            return await self._end(transaction, "user_id = $2", (user_id,), now, forget_at)
        condition = "user_id = $2 AND id <> $3"
        return await self._end(transaction, condition, (user_id, keep_session_id), now, forget_at)

    async def _end(
        self, transaction: Transaction, condition: str, values: Sequence[Any], now: int, forget_at: int
    ) -> Sequence[Row]:
        """Inside a unit: end the living sessions that fit (`$1` is taken), and revoke their access tokens.

        Of each session that was ended its id, and the id and the name of its user.
        """
        sql = f"UPDATE sessions SET ended_at = $1 WHERE {condition} AND ended_at IS NULL RETURNING {_ENDED}"
        ended = await transaction.run(sql, now, *values)
        if ended:
            revoke = (
                "INSERT INTO revocations (session_id, forget_at) "
                f"SELECT id, $2 FROM sessions WHERE {self._driver.in_list('id')}"
            )
            await transaction.run(revoke, self._driver.list_value([row[0] for row in ended]), forget_at)
            await transaction.announce()
        return ended

    async def revocations_since(self, cursor: str) -> RevocationPage:
        """How far one has read the driver tells."""
        added = await self._driver.added_since(cursor, "revocations", ", ".join(_REVOCATION))
        found = [Revocation(row["seq"], **{name: row[name] for name in _REVOCATION}) for row in added.rows]
        return RevocationPage(added.cursor, added.whole, found)

    async def wait_for_change(self, timeout_seconds: float) -> None:
        """The driver knows how."""
        await self._driver.wait_for_change(timeout_seconds)

    async def recount_sessions(self, now: int, ahead: int, idle_ahead: int) -> int:
        """One statement; the expiry's index finds them."""
        sql = (
            "UPDATE sessions SET stepped_at = $1, created_at = CASE WHEN created_at > $2 THEN $1 ELSE created_at END, "
            "expires_at = CASE WHEN created_at > $2 THEN expires_at - created_at + $1 ELSE expires_at END, "
            "idle_expires_at = CASE WHEN created_at > $2 OR idle_expires_at - stepped_at + $1 < expires_at "
            "THEN idle_expires_at - stepped_at + $1 ELSE expires_at END "
            "WHERE idle_expires_at > $3 AND stepped_at > $2 RETURNING id"
        )
        return len(await self._driver.write_one(sql, now, ahead, idle_ahead))

    async def purge(self, now: int, ended_before: int, limit: int) -> int:
        """In one unit of bounded size."""

        async def unit(transaction: Transaction) -> int:
            gone = await transaction.run(
                "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions "
                "WHERE idle_expires_at <= $1 OR ended_at <= $1 LIMIT $2) RETURNING id",
                ended_before,
                limit,
            )
            spent = await transaction.run(
                "DELETE FROM revocations WHERE seq IN (SELECT seq FROM revocations WHERE forget_at <= $1 LIMIT $2) "
                "RETURNING seq",
                now,
                limit,
            )
            return max(len(gone), len(spent))

        return await self._driver.write(unit)


def _login_note(session: Session, username: str) -> AuditNote:
    after = {"session_id": session.id, "user_agent": session.user_agent}
    event = AuditEvent.LOGIN_SUCCEEDED
    return AuditNote(event, session.created_at, session.user_id, username, after=after, by_target=True)


def _user_session(rows: Sequence[Row]) -> UserSession | None:
    return UserSession(Session(*rows[0][:-3]), *rows[0][-3:]) if rows else None


async def revoke_for_role(
    transaction: Transaction, user_id: str, role: str, role_changed_at: int, forget_at: int
) -> None:
    """Inside a unit: access tokens of that user are invalid if they are older than the role, or carry another one."""
    sql = "INSERT INTO revocations (user_id, role, role_changed_at, forget_at) VALUES ($1, $2, $3, $4)"
    await transaction.run(sql, user_id, role, role_changed_at, forget_at)
    await transaction.announce()
