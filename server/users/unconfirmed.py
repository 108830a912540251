"""Accounts that have registered and have to confirm an address before the first sign-in: their SQL.

A table of their own says who they are, so that rows of users, exports and older programs stay as they are.
`UserRepository.update` deletes the row once an address is verified, and SessionRepository.open opens no session before.
"""

from __future__ import annotations

from server.database.driver import Driver, Transaction
from server.users.rows import UNCONFIRMED

_STILL_UNCONFIRMED = f"SELECT 1 FROM users WHERE id = $1 AND {UNCONFIRMED}"


class UnconfirmedRepository:
    """Says who has to confirm an address. What takes a Transaction is part of a unit."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def add(self, transaction: Transaction, user_id: str, confirm_until: int) -> None:
        """The new account has to confirm its address by then (epoch ms), or is deleted."""
        await transaction.run(
            "INSERT INTO unconfirmed_users (user_id, confirm_until) VALUES ($1, $2)", user_id, confirm_until
        )

    async def waits(self, transaction: Transaction, user_id: str) -> bool:
        """Whether the account has to confirm its address first."""
        return bool(await transaction.run(_STILL_UNCONFIRMED, user_id))

    async def bring_back(self, furthest: int, confirm_until: int) -> None:
        """Whoever would have longer than until `furthest`, by a clock that was ahead, has until then."""
        sql = "UPDATE unconfirmed_users SET confirm_until = $1 WHERE confirm_until > $2"
        await self._driver.write_one(sql, confirm_until, furthest)

    async def expired(self, now: int, limit: int) -> list[str]:
        """The ids of at most `limit` accounts whose time is over, the first ones first."""
        sql = "SELECT user_id FROM unconfirmed_users WHERE confirm_until <= $1 ORDER BY confirm_until, user_id LIMIT $2"
        return [row["user_id"] for row in await self._driver.read(sql, now, limit)]

    async def take_expired(self, transaction: Transaction, user_id: str, now: int) -> bool:
        """Whether the account is to be deleted: its time is over, and no address is verified. Its row here is gone.

        Needs the lock of the user's row, so that a confirmation at the same moment is before this or fails.
        """
        found = await self.waits(transaction, user_id)
        taken = await transaction.run(
            "DELETE FROM unconfirmed_users WHERE user_id = $1 AND confirm_until <= $2 RETURNING user_id", user_id, now
        )
        return found and bool(taken)
