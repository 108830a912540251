"""The SQL of who sends which mail: a process claims some for a while, and then says what has become of each.

A claim has a name of its own, and each statement that ends it has that name in its WHERE. So nobody who was too slow
overwrites what another one has done meanwhile. How long a claim lasts is by the clock of the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from server.database.driver import Driver
from server.database.now import NOW_MS
from server.mail.backoff import LONGEST_WAIT_MS
from server.mail.outbox_model import STATE, TRY_FOR_MS, ClaimedMail, MailState
from server.mail.transport.model import LONGEST_SEND_SECONDS

# Of the mails that were claimed together, the last one begins to be sent within this time. The others are left.
BEGIN_WITHIN_SECONDS = 30.0
# So a claim lasts longer than anybody works on it.
LEASE_MS = int((BEGIN_WITHIN_SECONDS + LONGEST_SEND_SECONDS + 10) * 1000)
# The clocks of nodes may differ by this much.
_AHEAD_MS = 60_000

_CLAIMED = ", ".join(field.name for field in fields(ClaimedMail))
_FREE_AGAIN = "claim = NULL, claimed_until = 0"


class ClaimRepository:
    """Claims mails for a process, and ends the claims."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        now = NOW_MS[driver.dialect]
        # A claim that lasts much longer than claims do was made while the clock was wrong.
        free = f"(claim IS NULL OR claimed_until <= {now} OR claimed_until > {now} + {2 * LEASE_MS})"
        self._free = free
        new = f"state = 'waiting' AND attempts = 0 AND give_up_at > $1 AND {free}"
        again = f"state = 'waiting' AND attempts > 0 AND next_attempt_at <= $1 AND give_up_at > $1 AND {free}"
        sqlite = driver.dialect == "sqlite"
        # Without statistics SQLite prefers the index of all states, and would read all mails that wait.
        from_new = f"FROM mails{' INDEXED BY mails_new' if sqlite else ''} WHERE {new}"
        self._tried = f"mails{' INDEXED BY mails_again' if sqlite else ''}"
        from_again = f"FROM {self._tried} WHERE {again}"
        self._due = f"SELECT EXISTS (SELECT 1 {from_new}) OR EXISTS (SELECT 1 {from_again}) AS due"
        lock = "" if sqlite else " FOR UPDATE SKIP LOCKED"

        def claim(which: str, order: str) -> str:
            return (
                f"WITH taken AS MATERIALIZED (SELECT id {which} ORDER BY {order} LIMIT $2{lock}) "
                # Whoever had it and let the claim run out may have sent it.
                "UPDATE mails SET attempts = attempts + CASE WHEN claim IS NULL THEN 0 ELSE 1 END, "
                f"claim = $3, claimed_until = {now} + {LEASE_MS} "
                f"WHERE id IN (SELECT id FROM taken) RETURNING {_CLAIMED}"
            )

        self._claim_newest, self._claim_oldest = claim(from_new, "id DESC"), claim(from_new, "id")
        self._claim_again = claim(from_again, "next_attempt_at")

    async def due(self, now: int) -> bool:
        """Whether a mail could be sent now. The indexes answer this without reading those that wait."""
        return bool((await self._driver.read(self._due, now))[0]["due"])

    async def claim(self, name: str, now: int, limit: int, *, newest: bool) -> list[ClaimedMail]:
        """Claim at most so many: those that were never tried, the newest or the oldest of them, then the others.

        In their order of creation. Nobody else may have used this name.
        """
        rows = await self._driver.write_one(self._claim_newest if newest else self._claim_oldest, now, limit, name)
        claimed = [ClaimedMail(**row) for row in rows]
        if len(claimed) < limit:
            rows = await self._driver.write_one(self._claim_again, now, limit - len(claimed), name)
            claimed += [ClaimedMail(**row) for row in rows]
        return sorted(claimed, key=lambda mail: mail.id)

    async def sent(self, name: str, mail_id: str, now: int) -> bool:
        """It was sent, and nobody needs its content any more. False: somebody else had it meanwhile, or it is gone."""
        sql = (
            f"UPDATE mails SET state = '{MailState.SENT}', content = NULL, reason = NULL, attempts = attempts + 1, "
            f"ended_at = $3, {_FREE_AGAIN} WHERE id = $1 AND claim = $2 RETURNING id"
        )
        return bool(await self._driver.write_one(sql, mail_id, name, now))

    async def try_later(self, name: str, mail_id: str, next_attempt_at: int, reason: str) -> bool:
        """The attempt failed, and there is another one at that time. The answer is as that of `sent`."""
        sql = (
            f"UPDATE mails SET attempts = attempts + 1, next_attempt_at = $3, reason = $4, {_FREE_AGAIN} "
            "WHERE id = $1 AND claim = $2 RETURNING id"
        )
        return bool(await self._driver.write_one(sql, mail_id, name, next_attempt_at, reason))

    async def give_up(self, name: str, mail_id: str, now: int, reason: str, *, readable: bool) -> bool:
        """Nobody tries any more. Its content stays for an admin who does, if it is readable. As `sent` otherwise."""
        content = "content" if readable else "NULL"
        sql = (
            f"UPDATE mails SET state = '{MailState.GIVEN_UP}', content = {content}, attempts = attempts + 1, "
            f"reason = $4, ended_at = $3, {_FREE_AGAIN} WHERE id = $1 AND claim = $2 RETURNING id"
        )
        return bool(await self._driver.write_one(sql, mail_id, name, now, reason))

    async def release(self, name: str, mail_ids: Sequence[str], reason: str | None = None) -> None:
        """Leave those of them that are still claimed to others. `reason` is why they were not sent, if there is one."""
        sql = (
            f"UPDATE mails SET reason = COALESCE($3, reason), {_FREE_AGAIN} "
            f"WHERE {self._driver.in_list('id')} AND claim = $2 RETURNING id"
        )
        await self._driver.write_one(sql, self._driver.list_value(mail_ids), name, reason)

    async def expire(self, now: int, limit: int) -> int:
        """Give up at most so many that nobody tries any more, as their time is over. Returns how many."""
        over = f"{STATE} = 'waiting' AND content IS NOT NULL AND give_up_at <= $1 AND {self._free}"
        sql = (
            f"UPDATE mails SET state = '{MailState.GIVEN_UP}', content = NULL, reason = COALESCE(reason, $3), "
            f"ended_at = $1, {_FREE_AGAIN} "
            f"WHERE id IN (SELECT id FROM mails WHERE {over} ORDER BY give_up_at LIMIT $2) AND {over} RETURNING id"
        )
        return len(await self._driver.write_one(sql, now, limit, "there was no attempt in time"))

    async def repair_future_times(self, now: int) -> int:
        """Bring mails that were written while a clock was ahead back to the present. Returns how many."""
        again, end = now + LONGEST_WAIT_MS + _AHEAD_MS, now + TRY_FOR_MS + _AHEAD_MS
        ahead = "state = 'waiting' AND ((attempts > 0 AND next_attempt_at > $1) OR give_up_at > $2)"
        found = (
            f"SELECT id FROM {self._tried} WHERE state = 'waiting' AND attempts > 0 AND next_attempt_at > $1 UNION ALL "
            f"SELECT id FROM mails WHERE {STATE} = 'waiting' AND content IS NOT NULL AND give_up_at > $2 LIMIT 1"
        )
        if not await self._driver.read(found, again, end):
            return 0
        sql = (
            "UPDATE mails SET next_attempt_at = CASE WHEN next_attempt_at > $1 THEN $3 ELSE next_attempt_at END, "
            f"give_up_at = CASE WHEN give_up_at > $2 THEN $4 ELSE give_up_at END WHERE {ahead} RETURNING id"
        )
        return len(await self._driver.write_one(sql, again, end, now, now + TRY_FOR_MS))

    async def release_left(self, owner: str, now: int) -> int:
        """End the claims of processes that are gone. Their names begin with `owner`. Returns how many."""
        return await self._release_left("=", owner, now)

    async def release_all_but(self, owner: str, now: int) -> int:
        """End all claims but those whose names begin with `owner`, where only its processes can be running."""
        return await self._release_left("<>", owner, now)

    async def _release_left(self, compared: str, owner: str, now: int) -> int:
        """Each was an attempt, since it may have been sent, and from the second one on there is a pause.

        So a server that is killed again and again, whatever does it, does not send the same mail each time.
        """
        sql = (
            "UPDATE mails SET attempts = attempts + 1, "
            "next_attempt_at = CAST($2 AS BIGINT) + CASE WHEN attempts < 2 THEN 10000 * attempts ELSE 30000 END, "
            f"{_FREE_AGAIN} "
            "WHERE state = 'waiting' AND claim IS NOT NULL "
            f"AND substr(claim, 1, {len(owner)}) {compared} $1 RETURNING id"
        )
        return len(await self._driver.write_one(sql, owner, now))
