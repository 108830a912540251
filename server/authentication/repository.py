"""The SQL of throttling: how many attempts have failed, and how many are running.

The condition for one more attempt is in the WHERE of the statement that takes it. If nodes first read a row and then
wrote it, several could take the same last attempt. attempts.py provides the limits, and decides on the error if it is
refused.

A process that is killed leaves attempts that nobody will end. So running attempts are counted by the period in which
they began, this one or the one before. Older ones do not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from server.authentication.model import AttemptCounter, AttemptLimits, Budget, StoredCount
from server.database.driver import Driver, Transaction

# In both: $1 key, $2 now, $3 the number of the period. A row may be one period ahead, since clocks of nodes differ. If
# it is further ahead, a wrong clock has written it, and the count of running attempts starts again.
_RUNNING = (
    "CASE WHEN guesses.period >= $3 THEN guesses.running + guesses.running_before "
    "WHEN guesses.period = $3 - 1 THEN guesses.running ELSE 0 END"
)
_TAKE = (
    "INSERT INTO guesses (key, failures, retry_at, touched_at, period, running, running_before) "
    "VALUES ($1, 0, 0, $2, $3, 1, 0) ON CONFLICT (key) DO UPDATE SET touched_at = $2, "
    "period = CASE WHEN guesses.period = $3 + 1 THEN guesses.period ELSE $3 END, "
    "running = CASE WHEN guesses.period < $3 THEN 1 WHEN guesses.period = $3 THEN guesses.running + 1 "
    "WHEN guesses.period = $3 + 1 THEN guesses.running ELSE guesses.running + guesses.running_before + 1 END, "
    "running_before = CASE WHEN guesses.period = $3 - 1 THEN guesses.running "
    "WHEN guesses.period = $3 THEN guesses.running_before "
    "WHEN guesses.period = $3 + 1 THEN guesses.running_before + 1 ELSE 0 END "
)
# After the free failures ($6) one attempt runs at a time. $4 is the limit, $5 the furthest possible end of a wait.
_TAKE_COUNTER = (
    f"{_TAKE} WHERE guesses.failures < $4 AND (guesses.retry_at <= $2 OR guesses.retry_at > $5) "
    f"AND ({_RUNNING} = 0 OR guesses.failures + {_RUNNING} < $6) RETURNING key"
)
# `retry_at` is when the budget is full again, without running attempts. $4 cost, $5 capacity, $6 the furthest time.
_TAKE_BUDGET = (
    f"{_TAKE} WHERE CASE WHEN guesses.retry_at BETWEEN $2 AND $6 THEN guesses.retry_at - $2 ELSE 0 END "
    f"+ ({_RUNNING} + 1) * $4 <= $5 RETURNING key"
)
# $2 is the period in which the attempt began. If the row is two periods later, the attempt does not count there any
# more.
_END = (
    "running = CASE WHEN period <= $2 AND running > 0 THEN running - 1 ELSE running END, "
    "running_before = CASE WHEN period = $2 + 1 AND running_before > 0 THEN running_before - 1 ELSE running_before END"
)
_FAIL_COUNTER = f"UPDATE guesses SET failures = failures + 1, {_END} WHERE key = $1 RETURNING failures"
# $3 now, $4 cost, $5 the furthest time.
_FAIL_BUDGET = (
    f"UPDATE guesses SET retry_at = CASE WHEN retry_at BETWEEN $3 AND $5 THEN retry_at ELSE $3 END + $4, {_END} "
    "WHERE key = $1"
)

# What costs something at once, whatever becomes of it, has no running attempts. $2 now, $3 cost, $4 capacity, $5 the
# furthest time, $6 now and the cost.
_LEFT = "CASE WHEN guesses.retry_at BETWEEN $2 AND $5 THEN guesses.retry_at ELSE $2 END"
_SPEND = (
    "INSERT INTO guesses (key, failures, retry_at, touched_at, period, running, running_before) "
    "VALUES ($1, 0, $6, $2, 0, 0, 0) ON CONFLICT (key) DO UPDATE SET touched_at = $2, "
    f"retry_at = {_LEFT} + $3 WHERE {_LEFT} - $2 + $3 <= $4 RETURNING key"
)
# Counts one more, and says the how manyth it is. $2 now.
_COUNT = (
    "INSERT INTO guesses (key, failures, retry_at, touched_at, period, running, running_before) "
    "VALUES ($1, 1, 0, $2, 0, 0, 0) "
    "ON CONFLICT (key) DO UPDATE SET failures = guesses.failures + 1, touched_at = $2 RETURNING failures"
)


class AttemptRepository:
    """Reads and writes the counts. A method with a Transaction is a part of the caller's transaction.

    Rows are locked in the order of their keys, so there is no deadlock: call the methods for one key after the other,
    in the order of AttemptLimits.in_order.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def take_counter(
        self, transaction: Transaction, counter: AttemptCounter, *, now: int, period: int, furthest_at: int
    ) -> bool:
        """Take an attempt; False if it is refused. A wait beyond `furthest_at` counts as over."""
        limits = (counter.limit, furthest_at, counter.free)
        return bool(await transaction.run(_TAKE_COUNTER, counter.key, now, period, *limits))

    async def take_budget(
        self, transaction: Transaction, budget: Budget, *, now: int, period: int, furthest_at: int
    ) -> bool:
        """Take an attempt; False if it is refused. A budget that is full only after `furthest_at` counts as full."""
        limits = (budget.cost_ms, budget.capacity_ms, furthest_at)
        return bool(await transaction.run(_TAKE_BUDGET, budget.key, now, period, *limits))

    async def count_of(self, transaction: Transaction, key: str) -> StoredCount:
        """The counts of a key that has refused an attempt, so its row exists."""
        rows = await transaction.run("SELECT failures, retry_at FROM guesses WHERE key = $1", key)
        return StoredCount(**rows[0])

    async def fail_counter(self, transaction: Transaction, counter: AttemptCounter, period: int) -> int:
        """Count a failure of an attempt from that period. Returns the number of failures; 0 if the row is gone."""
        rows = await transaction.run(_FAIL_COUNTER, counter.key, period)
        return int(rows[0]["failures"]) if rows else 0

    async def wait_until(self, transaction: Transaction, counter: AttemptCounter, retry_at: int) -> None:
        """Refuse attempts until that time (epoch ms)."""
        await transaction.run("UPDATE guesses SET retry_at = $1 WHERE key = $2", retry_at, counter.key)

    async def fail_budget(
        self, transaction: Transaction, budget: Budget, *, now: int, period: int, furthest_at: int
    ) -> None:
        """Take the cost of a failed attempt of that period from the budget."""
        await transaction.run(_FAIL_BUDGET, budget.key, period, now, budget.cost_ms, furthest_at)

    async def spend(self, transaction: Transaction, budget: Budget, *, now: int, furthest_at: int) -> bool:
        """Take the cost from the budget at once; False if it has too little left."""
        limits = (budget.cost_ms, budget.capacity_ms, furthest_at, now + budget.cost_ms)
        return bool(await transaction.run(_SPEND, budget.key, now, *limits))

    async def refund(self, transaction: Transaction, budget: Budget) -> None:
        """Give the cost back."""
        sql = "UPDATE guesses SET retry_at = retry_at - $2 WHERE key = $1"
        await transaction.run(sql, budget.key, budget.cost_ms)

    async def count(self, transaction: Transaction, key: str, now: int) -> int:
        """Count one more under that key. Returns how many there are."""
        rows = await transaction.run(_COUNT, key, now)
        return int(rows[0]["failures"])

    async def uncount(self, transaction: Transaction, key: str) -> None:
        """Count one less."""
        await transaction.run("UPDATE guesses SET failures = failures - 1 WHERE key = $1 AND failures > 0", key)

    async def begin_anew(self, transaction: Transaction, counters: Iterable[AttemptCounter]) -> None:
        """Reset the failures of these counters."""
        keys = self._driver.list_value(sorted({counter.key for counter in counters}))
        await transaction.run(f"UPDATE guesses SET failures = 0, retry_at = 0 WHERE {self._in_order()}", keys)

    async def end(self, transaction: Transaction, taken: AttemptLimits) -> None:
        """End a running attempt."""
        await transaction.run(*self._end(taken))

    async def give_back(self, taken: AttemptLimits) -> None:
        """End a running attempt in its own transaction."""
        await self._driver.write_one(*self._end(taken))

    async def counts(self, keys: Sequence[str]) -> dict[str, StoredCount]:
        """The counts of these keys; those that were never counted are left out."""
        sql = f"SELECT key, failures, retry_at FROM guesses WHERE {self._driver.in_list('key')}"
        rows = await self._driver.read(sql, self._driver.list_value(keys))
        return {row["key"]: StoredCount(row["failures"], row["retry_at"]) for row in rows}

    async def move(self, transaction: Transaction, keys: Sequence[tuple[str, str]]) -> None:
        """Give each row with the first key of a pair the second one, in place of the row that has it."""
        old, new = zip(*keys, strict=True)
        every = self._driver.list_value([*old, *new])
        await transaction.run(f"UPDATE guesses SET touched_at = touched_at WHERE {self._in_order()}", every)
        await transaction.run(f"DELETE FROM guesses WHERE {self._driver.in_list('key')}", self._driver.list_value(new))
        for before, after in keys:
            await transaction.run("UPDATE guesses SET key = $1 WHERE key = $2", after, before)

    async def purge(self, touched_before: int, limit: int) -> int:
        """Delete at most `limit` rows that have not changed since then. Returns how many."""
        sql = "DELETE FROM guesses WHERE key IN (SELECT key FROM guesses WHERE touched_at <= $1 LIMIT $2) RETURNING key"
        return len(await self._driver.write_one(sql, touched_before, limit))

    def _end(self, taken: AttemptLimits) -> tuple[str, object, int]:
        keys = self._driver.list_value([one.key for one in taken.in_order()])
        return f"UPDATE guesses SET {_END} WHERE {self._in_order()}", keys, taken.period

    def _in_order(self) -> str:
        """The condition that `key` is in the list `$1`, for an UPDATE that locks them in order."""
        wanted = f"SELECT key FROM guesses WHERE {self._driver.in_list('key')} ORDER BY key"
        return f"key IN ({self._driver.locking(wanted)})"
