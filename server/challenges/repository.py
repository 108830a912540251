"""The SQL of challenges, once for both databases.

Whether a challenge is open is in the WHERE of the statement that uses it, so two nodes never use it twice. Rows are
locked after the row of their user.
"""

from __future__ import annotations

from dataclasses import astuple, fields
from typing import Literal

from server.challenges.model import AHEAD_MS, OPEN, Challenge, Digests, NewChallenge, Purpose, StoredChallenge
from server.database.driver import Driver, Row, Transaction
from server.database.inserting import insert_into

# By what challenges are found without their link.
Found = Literal["id", "user_id", "email_key"]

_CHALLENGE = [field.name for field in fields(Challenge)]
_DIGESTS = ["token_digest", "code_digest", "browser_digest"]
_INSERT = insert_into("challenges", [*_CHALLENGE, *_DIGESTS, "email_key", "used_at"])
_STORED = ", ".join([*_CHALLENGE, *_DIGESTS])
# $1 now, $2 the latest time at which it may have been made.
_OPEN = "used_at IS NULL AND expires_at > $1 AND created_at <= $2"


class ChallengeRepository:
    """Reads and writes challenges. What takes a Transaction is a part of the caller's unit."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def insert(self, transaction: Transaction, new: NewChallenge, email_key: str, used_at: int | None) -> None:
        """Add a new one."""
        await transaction.run(_INSERT, *astuple(new.challenge), *astuple(new.digests), email_key, used_at)

    async def find_by_token(
        self, transaction: Transaction, purpose: Purpose, token_digest: bytes, now: int
    ) -> StoredChallenge | None:
        """The open challenge of that token."""
        sql = f"SELECT {_STORED} FROM challenges WHERE token_digest = $3 AND purpose = $4 AND {_OPEN}"
        rows = await transaction.run(sql, now, now + AHEAD_MS, token_digest, purpose)
        return _stored(rows[0]) if rows else None

    async def find(
        self, transaction: Transaction, purpose: Purpose, found: Found, value: str, now: int
    ) -> list[StoredChallenge]:
        """The newest open challenges, in the order of their ids."""
        sql = (
            f"SELECT {_STORED} FROM challenges WHERE {found} = $3 AND purpose = $4 AND {_OPEN} "
            f"ORDER BY id DESC LIMIT {OPEN}"
        )
        rows = await transaction.run(sql, now, now + AHEAD_MS, value, purpose)
        return [_stored(row) for row in reversed(rows)]

    async def use(self, transaction: Transaction, challenge_id: str, now: int) -> bool:
        """Use it up; False if it is not open any more."""
        sql = f"UPDATE challenges SET used_at = $1 WHERE id = $3 AND {_OPEN} RETURNING id"
        return bool(await transaction.run(sql, now, now + AHEAD_MS, challenge_id))

    async def end(
        self, transaction: Transaction, purpose: Purpose, user_id: str, now: int, *, but_newest: int = 0
    ) -> None:
        """End those of a user and purpose that are not used, but so many of the newest."""
        wanted = (
            "SELECT id FROM challenges WHERE user_id = $2 AND purpose = $3 AND used_at IS NULL "
            f"ORDER BY id DESC LIMIT 1000 OFFSET {but_newest}"
        )
        sql = f"UPDATE challenges SET used_at = $1 WHERE id IN ({self._driver.locking(wanted)})"
        await transaction.run(sql, now, user_id, purpose)

    async def drop_future(self, expires_after: int) -> None:
        """Delete those that only a clock that was ahead can have made: they would be open when it is that time."""
        await self._driver.write_one("DELETE FROM challenges WHERE expires_at > $1", expires_after)

    async def purge(self, expired_before: int, limit: int) -> int:
        """Delete at most `limit` that had expired by then. Returns how many."""
        sql = (
            "DELETE FROM challenges WHERE id IN "
            "(SELECT id FROM challenges WHERE expires_at <= $1 LIMIT $2) RETURNING id"
        )
        return len(await self._driver.write_one(sql, expired_before, limit))


def _stored(row: Row) -> StoredChallenge:
    values = {name: row[name] for name in _CHALLENGE}
    challenge = Challenge(**{**values, "purpose": Purpose(values["purpose"])})
    return StoredChallenge(challenge, Digests(*(row[name] for name in _DIGESTS)))
