"""From where each user has signed in: a digest of program and network, and when it was last seen."""

from __future__ import annotations

from collections.abc import Sequence

from server.database.driver import Driver, Transaction
from server.mail.model import MailKind

# What was not seen for so long is new again.
REMEMBERED_MS = 90 * 86_400_000
# The time is noted no more often than that.
_EXACT_MS = 3_600_000
_WEEK_MS = 7 * 86_400_000
_DELETE_OLD = (
    "DELETE FROM known_clients WHERE seen_at < $2 AND EXISTS ("
    "SELECT 1 FROM known_clients AS later WHERE later.user_id = known_clients.user_id "
    "AND (later.seen_at, later.client) > (known_clients.seen_at, known_clients.client))"
)


class KnownClients:
    """The SQL of known_clients, for transactions that have locked the row of the user."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        # Up to where `purge` has looked, in its order.
        self._looked = (0, "", "")

    async def see(self, transaction: Transaction, user_id: str, name: str, now: int) -> bool:
        """Note that a user signs in from there. Whether that is news: it was not seen, and it is not the first one."""
        sql = "SELECT seen_at FROM known_clients WHERE user_id = $1 AND client = $2"
        seen_at = next((int(row["seen_at"]) for row in await transaction.run(sql, user_id, name)), None)
        if seen_at is not None and now - _EXACT_MS < seen_at <= now:
            return False
        sql = "SELECT 1 FROM known_clients WHERE user_id = $1 LIMIT 1"
        others = await transaction.run(sql, user_id)
        sql = (
            "INSERT INTO known_clients (user_id, client, seen_at) VALUES ($1, $2, $3) "
            "ON CONFLICT (user_id, client) DO UPDATE SET seen_at = excluded.seen_at"
        )
        await transaction.run(sql, user_id, name, now)
        sql = "DELETE FROM known_clients WHERE user_id = $1 AND seen_at < $2"
        await transaction.run(sql, user_id, now - REMEMBERED_MS)
        return bool(others) and (seen_at is None or seen_at < now - REMEMBERED_MS)

    async def count_notices(self, transaction: Transaction, user_id: str, since: int) -> int:
        """How many mails of new sign-ins were written to a user since then."""
        sql = "SELECT count(*) AS count FROM mails WHERE user_id = $1 AND kind = $2 AND created_at > $3"
        return int((await transaction.run(sql, user_id, MailKind.NEW_SIGN_IN.value, since))[0]["count"])

    async def purge(self, now: int, limit: int) -> int:
        """Look at the next `limit` that were not seen for REMEMBERED_MS, and delete them. Returns how many there were.

        The last one of each user stays: else a sign-in after a long time would be a first one, which is no news. So
        each is looked at once, and not again in each round. After a start it begins with those of a week; what is older
        was looked at before. `see` deletes what has a later one since then.
        """
        before = now - REMEMBERED_MS
        looked = max(self._looked, (before - _WEEK_MS, "", ""))
        sql = (
            "SELECT old.seen_at, old.user_id, old.client, EXISTS (SELECT 1 FROM known_clients AS later "
            "WHERE later.user_id = old.user_id AND (later.seen_at, later.client) > (old.seen_at, old.client)) AS gone "
            "FROM known_clients AS old WHERE old.seen_at < $1 AND old.seen_at >= $2 "
            "AND (old.seen_at, old.user_id, old.client) > ($2, $3, $4) "
            "ORDER BY old.seen_at, old.user_id, old.client LIMIT $5"
        )
        rows = await self._driver.read(sql, before, *looked, limit)
        users = sorted({row["user_id"] for row in rows if row["gone"]})
        if users:
            await self._delete_old(users, before)
        if rows:
            self._looked = (rows[-1]["seen_at"], rows[-1]["user_id"], rows[-1]["client"])
        return len(rows)

    async def _delete_old(self, user_ids: Sequence[str], before: int) -> None:
        """Of these users, all but the last one that was not seen since then."""
        of_users = self._driver.in_list("user_id")
        await self._driver.write_one(f"{_DELETE_OLD} AND {of_users}", self._driver.list_value(user_ids), before)
