"""Deletes accounts that have registered and never confirmed their address."""

from __future__ import annotations

from dataclasses import replace

from server.database.driver import Transaction
from server.repositories import Repositories
from server.users.audit_notes import user_deleted

# How long whoever registers has to confirm the address.
CONFIRM_MS = 7 * 86_400_000
# The reason in the audit log.
NEVER_CONFIRMED = "never confirmed"


async def delete_unconfirmed(repositories: Repositories, now: int, limit: int) -> int:
    """Delete at most `limit` whose time is over, each with its audit record. Returns how many.

    They have no session, and are the last admin never. A confirmation at the same moment, on any node, comes first or
    finds no account.
    """
    expired = await repositories.unconfirmed.expired(now, limit)
    if expired:
        await _delete(repositories, expired, now)
    return len(expired)


async def _delete(repositories: Repositories, user_ids: list[str], now: int) -> None:
    audit = repositories.audit.writer()

    async def unit(transaction: Transaction) -> None:
        notes = []
        # Always in the same order, so two nodes never wait for each other's rows.
        for user_id in sorted(user_ids):
            user = await repositories.users.lock(transaction, user_id)
            if user is not None and await repositories.unconfirmed.take_expired(transaction, user_id, now):
                await repositories.users.delete(transaction, user_id)
                notes.append(replace(user_deleted(user, now), after={"reason": NEVER_CONFIRMED}))
        await audit.write(transaction, *notes)

    await repositories.driver.write(unit)
