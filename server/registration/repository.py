"""The SQL of invitations, once for both databases.

Whether an invitation may be used is in the WHERE of the statement that counts the use, so two nodes never count the
same last one, and none is counted after a withdrawal.
"""

from __future__ import annotations

from dataclasses import astuple, fields

from server.database.driver import Driver, Transaction
from server.database.inserting import insert_into
from server.registration.model import AHEAD_MS, Invitation

_COLUMNS = [field.name for field in fields(Invitation)]
_INVITATION = ", ".join(_COLUMNS)
_INSERT = insert_into("invitations", _COLUMNS)


class InvitationRepository:
    """Reads and writes invitations. What takes a Transaction is a part of the caller's unit."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def insert(self, transaction: Transaction, invitation: Invitation) -> None:
        """Add a new one."""
        await transaction.run(_INSERT, *astuple(invitation))

    async def get(self, invitation_id: str) -> Invitation | None:
        """The invitation of that id, a UUID."""
        rows = await self._driver.read(f"SELECT {_INVITATION} FROM invitations WHERE id = $1", invitation_id)
        return Invitation(**rows[0]) if rows else None

    async def list_invitations(self, limit: int, before_id: str) -> list[Invitation]:
        """Invitations, the newest first, after `before_id` in this order."""
        sql = f"SELECT {_INVITATION} FROM invitations WHERE id < $1 ORDER BY id DESC LIMIT $2"
        return [Invitation(**row) for row in await self._driver.read(sql, before_id, limit)]

    async def use(self, transaction: Transaction, invitation_id: str, now: int) -> Invitation | None:
        """Count one more use, if `Invitation.state` is open; None if it can't be used. Its row stays locked."""
        sql = (
            "UPDATE invitations SET used = used + 1 WHERE id = $1 AND withdrawn_at IS NULL AND used < uses "
            f"AND expires_at > $2 AND created_at <= $3 RETURNING {_INVITATION}"
        )
        rows = await transaction.run(sql, invitation_id, now, now + AHEAD_MS)
        return Invitation(**rows[0]) if rows else None

    async def withdraw(self, transaction: Transaction, invitation_id: str, now: int) -> Invitation | None:
        """Withdraw it; None if there is none that was not withdrawn before."""
        sql = f"UPDATE invitations SET withdrawn_at = $2 WHERE id = $1 AND withdrawn_at IS NULL RETURNING {_INVITATION}"
        rows = await transaction.run(sql, invitation_id, now)
        return Invitation(**rows[0]) if rows else None

    async def purge(self, expired_before: int, limit: int) -> int:
        """Delete at most `limit` that had expired by then. Returns how many."""
        sql = (
            "DELETE FROM invitations WHERE id IN "
            "(SELECT id FROM invitations WHERE expires_at <= $1 LIMIT $2) RETURNING id"
        )
        return len(await self._driver.write_one(sql, expired_before, limit))
