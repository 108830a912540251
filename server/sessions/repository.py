"""The SQL of sessions, and of what revokes tokens that are already issued.

What has to hold against another node stands in the WHERE of one statement: that the user is enabled, has no address to
confirm first and still has the password that was checked (`open`), that a step of a chain is taken once
(`step_session`), that a session ends once (`_end`). Everything else is decided by the callers. What takes a Transaction
is part of their unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.core.ids import LAST_ID
from server.database.driver import Driver, Transaction
from server.sessions.ended_sessions import TIME_BASE, packed_entries
from server.sessions.model import (
    MEMORY_MS,
    PAGE,
    RECENT_SECONDS,
    EndedSession,
    Revocation,
    RevocationPage,
    Session,
    UserSession,
)
from server.sessions.rows import (
    AUTHENTICATED_AT,
    INSERT_SESSION,
    SESSION,
    amr_text,
    inserted_values,
    session_of,
    user_session_of,
)
from server.users.rows import UNCONFIRMED

# Subqueries, since what an UPDATE returns can't be joined in SQLite.
_USERNAME = "(SELECT username FROM users WHERE users.id = sessions.user_id) AS username"
_OF_USER = (
    f"{_USERNAME}, (SELECT role FROM users WHERE users.id = sessions.user_id) AS role, "
    "(SELECT role_changed_at FROM users WHERE users.id = sessions.user_id) AS role_changed_at"
)
_REVOCATION = "session_id, user_id, role, role_changed_at, forget_at"
# A session that has ended, as `packed_entries` reads it; NULL for other revocations. Whether the id is one is looked at
# there: SQLite takes longer to look than for all else.
_PACKED = (
    f"CASE WHEN length(session_id) = 36 AND forget_at BETWEEN 0 AND {TIME_BASE - 1} "
    f"THEN session_id || ({TIME_BASE} + forget_at) END"
)


class SessionRepository:
    """Reads and writes sessions and revocations."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def open(self, transaction: Transaction, session: Session, password_changed_at: int) -> UserSession | None:
        """Open a session. It first updates the user's row, which locks it against changes at the same moment."""
        sql = (
            "UPDATE users SET last_login_at = $1 "
            f"WHERE id = $2 AND disabled_at IS NULL AND password_changed_at = $3 AND NOT {UNCONFIRMED} "
            "RETURNING username, role, role_changed_at"
        )
        rows = await transaction.run(sql, session.created_at, session.user_id, password_changed_at)
        if not rows:
            return None
        await transaction.run(INSERT_SESSION, *inserted_values(session))
        return UserSession(session, **rows[0])

    async def waits_for_confirmation(self, transaction: Transaction, user_id: str, password_changed_at: int) -> bool:
        """Whether it is only for an address that the user has to confirm first that `open` has opened nothing."""
        sql = (
            f"SELECT 1 FROM users WHERE id = $1 AND disabled_at IS NULL AND password_changed_at = $2 AND {UNCONFIRMED}"
        )
        return bool(await transaction.run(sql, user_id, password_changed_at))

    async def get_session(self, session_id: str) -> UserSession | None:
        """The session of that id with its user, who always exists: deleting a user deletes the sessions."""
        if not session_id.isprintable():
            return None
        sql = f"SELECT {SESSION}, {_OF_USER} FROM sessions WHERE id = $1"
        return next(map(user_session_of, await self._driver.read(sql, session_id)), None)

    async def authenticated_at(self, session_id: str) -> int | None:
        """When the user of a session that has not ended has proved who they are, the last time (epoch ms)."""
        sql = f"SELECT {AUTHENTICATED_AT} FROM sessions WHERE id = $1 AND ended_at IS NULL"
        return next((row["authenticated_at"] for row in await self._driver.read(sql, session_id)), None)

    async def renew(
        self, transaction: Transaction, session_id: str, now: int, amr: tuple[str, ...], password_changed_at: int
    ) -> UserSession | None:
        """Note that the user has proved now who they are, by these methods.

        None if the session is over, or the user was disabled or has had another password since that time.
        """
        sql = (
            "UPDATE sessions SET authenticated_at = $1, amr = $2 "
            "WHERE id = $3 AND ended_at IS NULL AND idle_expires_at > $1 AND EXISTS (SELECT 1 FROM users WHERE "
            "users.id = sessions.user_id AND users.disabled_at IS NULL AND users.password_changed_at = $4) "
            f"RETURNING {SESSION}, {_OF_USER}"
        )
        values = (now, amr_text(amr), session_id, password_changed_at)
        return next(map(user_session_of, await transaction.run(sql, *values)), None)

    async def has_disabled_user(self, session_id: str) -> bool:
        """Whether the user of that session is disabled."""
        sql = (
            "SELECT users.id FROM sessions JOIN users ON users.id = sessions.user_id "
            "WHERE sessions.id = $1 AND users.disabled_at IS NOT NULL"
        )
        return bool(await self._driver.read(sql, session_id))

    async def list_sessions(self, user_id: str, now: int, limit: int = PAGE, before_id: str = LAST_ID) -> list[Session]:
        """The living sessions of a user, the newest first, after `before_id` in this order."""
        rows = await self._driver.read(
            f"SELECT {SESSION} FROM sessions WHERE user_id = $1 AND ended_at IS NULL AND idle_expires_at > $2 "
            "AND id < $4 ORDER BY id DESC LIMIT $3",
            user_id,
            now,
            limit,
            before_id,
        )
        return [session_of(row) for row in rows]

    async def count_sessions(self, user_id: str, now: int) -> int:
        """How many living sessions a user has."""
        sql = "SELECT COUNT(*) AS count FROM sessions WHERE user_id = $1 AND ended_at IS NULL AND idle_expires_at > $2"
        count: int = (await self._driver.read(sql, user_id, now))[0]["count"]
        return count

    async def count_living(self, now: int) -> int:
        """How many sessions can be refreshed. Both counts read an index and not the table.

        The second is of those that have ended and not expired, which are few: `purge` deletes them after a day.
        """
        sql = (
            "SELECT (SELECT COUNT(*) FROM sessions WHERE idle_expires_at > $1) - "
            "(SELECT COUNT(*) FROM sessions WHERE ended_at IS NOT NULL AND +idle_expires_at > $1) AS living"
        )
        return int((await self._driver.read(sql, now))[0]["living"])

    async def step_session(
        self, session_id: str, step: int, now: int, idle_expires_at: int | None, ip: str | None = None
    ) -> UserSession | None:
        """Raise the step of a session by one statement. If several calls come at the same moment, only one succeeds."""
        # CASE, since the function for the lesser of two values differs between SQLite and PostgreSQL.
        sql = (
            "UPDATE sessions SET step = step + 1, stepped_at = $1, ip = COALESCE($5, ip), "
            "idle_expires_at = CASE WHEN expires_at < $2 THEN expires_at ELSE COALESCE($2, idle_expires_at) END "
            "WHERE id = $3 AND step = $4 AND ended_at IS NULL AND idle_expires_at > $1 "
            f"RETURNING {SESSION}, {_OF_USER}"
        )
        stepped = await self._driver.write_one(sql, now, idle_expires_at, session_id, step, ip)
        return next(map(user_session_of, stepped), None)

    async def end(
        self, transaction: Transaction, session_id: str, user_id: str | None, now: int
    ) -> EndedSession | None:
        """With its revocation. None if there is no such living session, or it is not that user's."""
        if user_id is None:
            ended = await self._end(transaction, "id = $2", [session_id], now)
        else:
            ended = await self._end(transaction, "id = $2 AND user_id = $3", [session_id, user_id], now)
        return ended[0] if ended else None

    async def end_all(
        self, transaction: Transaction, user_id: str, keep_session_id: str | None, now: int
    ) -> Sequence[EndedSession]:
        """A user's sessions but one, with their revocations: those that have ended."""
        if keep_session_id is None:
            return await self._end(transaction, "user_id = $2", [user_id], now)
        condition = "user_id = $2 AND id <> $3"
        return await self._end(transaction, condition, [user_id, keep_session_id], now)

    async def _end(
        self, transaction: Transaction, condition: str, values: Sequence[Any], now: int
    ) -> list[EndedSession]:
        """End the living sessions that fit (`$1` is taken), and revoke their access tokens."""
        sql = (
            f"UPDATE sessions SET ended_at = $1 WHERE {condition} AND ended_at IS NULL "
            f"RETURNING id, user_id, {_USERNAME}"
        )
        ended = [EndedSession(**row) for row in await transaction.run(sql, now, *values)]
        if ended:
            revoke = (
                "INSERT INTO revocations (session_id, forget_at) "
                f"SELECT id, $2 FROM sessions WHERE {self._driver.in_list('id')}"
            )
            await transaction.run(revoke, self._driver.list_value([session.id for session in ended]), now + MEMORY_MS)
            await transaction.announce()
        return ended

    async def revoke_for_role(
        self, transaction: Transaction, user_id: str, role: str, role_changed_at: int, now: int
    ) -> None:
        """Access tokens of that user are invalid if they are older than the role, or carry another one."""
        sql = "INSERT INTO revocations (user_id, role, role_changed_at, forget_at) VALUES ($1, $2, $3, $4)"
        await transaction.run(sql, user_id, role, role_changed_at, now + MEMORY_MS)
        await transaction.announce()

    async def revocations_since(self, cursor: str) -> RevocationPage:
        """The next revocations that were committed since `cursor`, and the cursor to go on with (added_since)."""
        added = await self._driver.added_since(cursor, "revocations", _REVOCATION, _PACKED)
        ended = packed_entries(added.packed)
        if ended is None:
            # One of them has an id that this server never makes, so they are read one by one.
            added = await self._driver.added_since(cursor, "revocations", _REVOCATION, "NULL")
        found = [
            Revocation(
                row["seq"], row["session_id"], row["user_id"], row["role"], row["role_changed_at"], row["forget_at"]
            )
            for row in added.rows
        ]
        return RevocationPage(added.cursor, added.whole, added.more, found, ended or b"")

    async def repair_future_times(self, now: int, ahead: int, idle_ahead: int) -> int:
        """Shift the times of sessions that were used beyond `ahead` back to `now`; how many there were.

        Only of those that expire beyond `idle_ahead`: the index of `idle_expires_at` finds them. If it is not known
        when a user has signed in, that does not count as recent.
        """
        sql = (
            "UPDATE sessions SET stepped_at = $1, created_at = CASE WHEN created_at > $2 THEN $1 ELSE created_at END, "
            "authenticated_at = CASE WHEN COALESCE(authenticated_at, created_at) > $2 THEN $4 "
            "ELSE authenticated_at END, "
            "expires_at = CASE WHEN created_at > $2 THEN expires_at - created_at + $1 ELSE expires_at END, "
            "idle_expires_at = CASE WHEN created_at > $2 OR idle_expires_at - stepped_at + $1 < expires_at "
            "THEN idle_expires_at - stepped_at + $1 ELSE expires_at END "
            "WHERE idle_expires_at > $3 AND stepped_at > $2 RETURNING id"
        )
        long_ago = now - 2 * RECENT_SECONDS * 1000
        return len(await self._driver.write_one(sql, now, ahead, idle_ahead, long_ago))

    async def purge(self, ended_before: int, limit: int) -> int:
        """Delete at most `limit` sessions that ended or expired by then. Returns how many.

        Two searches, since each of them reads only as far in its index as is needed.
        """
        sql = (
            "DELETE FROM sessions WHERE id IN ("
            "SELECT id FROM (SELECT id FROM sessions WHERE ended_at <= $1 ORDER BY ended_at LIMIT $2) AS ended UNION "
            "SELECT id FROM (SELECT id FROM sessions WHERE idle_expires_at <= $1 ORDER BY idle_expires_at LIMIT $2) "
            "AS expired LIMIT $2) RETURNING id"
        )
        return len(await self._driver.write_one(sql, ended_before, limit))

    async def purge_revocations(self, now: int, limit: int) -> int:
        """Delete at most `limit` revocations that are forgotten by then. Returns how many."""
        sql = (
            "DELETE FROM revocations WHERE seq IN "
            "(SELECT seq FROM revocations WHERE forget_at <= $1 ORDER BY forget_at LIMIT $2) RETURNING seq"
        )
        return len(await self._driver.write_one(sql, now, limit))
