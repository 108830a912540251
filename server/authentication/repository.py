"""The SQL of throttling: how many attempts failed, and how many run.

A process that dies leaves attempts behind that nobody will end. So those that run are counted by the period in which
they began, this one or the one before; older ones do not count any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from server.audit.model import AuditNote
from server.audit.repository import AuditRepository
from server.authentication.errors import TooManyAttempts
from server.authentication.model import AttemptCounter, AttemptLimits, Budget
from server.core.errors import Overloaded
from server.database.driver import Driver, Transaction

LONGEST_WAIT_MS = 900_000
_FIRST_WAIT_MS = 1000
# An attempt that nobody ended counts for one to two of these. Longer than the queue of hashes takes.
PERIOD_MS = 60_000
# The next of those that run will have ended by then.
_BUSY_SECONDS = 1
# A row that nobody touched for so long goes, whether its account exists or not.
_FORGET_MS = 90 * 86_400_000

# A time further ahead than any wait was written by a clock that was wrong, and counts as over: or one that
# was a year ahead for a moment would shut everybody out for a year. Clocks of several nodes may differ by so much.
_CLOCK_SLACK_MS = 60_000

# In both: $1 key, $2 now, $3 the number of the period. A row may be one period ahead, by the clock of another node. One
# that is further ahead was written by a clock that was wrong: its attempts begin here.
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
# Behind the free failures ($6) one runs at a time; before, no more than could be wrong. $4 limit, $5 the furthest wait.
_TAKE_COUNTER = (
    f"{_TAKE} WHERE guesses.failures < $4 AND (guesses.retry_at <= $2 OR guesses.retry_at > $5) "
    f"AND ({_RUNNING} = 0 OR guesses.failures + {_RUNNING} < $6) RETURNING key"
)
# `retry_at` is when the budget will be full again, but for what runs. $4 cost, $5 capacity, $6 the furthest time.
_TAKE_BUDGET = (
    f"{_TAKE} WHERE CASE WHEN guesses.retry_at BETWEEN $2 AND $6 THEN guesses.retry_at - $2 ELSE 0 END "
    f"+ ({_RUNNING} + 1) * $4 <= $5 RETURNING key"
)
# $2 is the period in which the attempt began. If that is over for the row, it is not counted there any more.
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


class AttemptRepository:
    """The SQL of attempts at passwords.

    Rows are locked in the order of their keys, so no two units wait for each other.
    """

    def __init__(self, driver: Driver, audit: AuditRepository) -> None:
        self._driver = driver
        self._audit = audit

    async def take(self, wanted: AttemptLimits, now: int) -> AttemptLimits:
        """All of its counters and budgets, or none."""
        period = now // PERIOD_MS

        async def unit(transaction: Transaction) -> None:
            for one in _in_order(wanted):
                if isinstance(one, AttemptCounter):
                    await _take_counter(transaction, one, now, period)
                else:
                    await _take_budget(transaction, one, now, period)

        await self._driver.write(unit)
        return replace(wanted, period=period)

    async def note_failure(self, taken: AttemptLimits, now: int, note: AuditNote | None = None) -> None:
        """Counters wait longer and longer, budgets pay."""
        audit = self._audit.writer()

        async def unit(transaction: Transaction) -> None:
            for one in _in_order(taken):
                if isinstance(one, Budget):
                    furthest = now + one.capacity_ms + _CLOCK_SLACK_MS
                    await transaction.run(_FAIL_BUDGET, one.key, taken.period, now, one.cost_ms, furthest)
                    continue
                rows = await transaction.run(_FAIL_COUNTER, one.key, taken.period)
                if rows and rows[0][0] >= one.free:
                    wait = wait_after(rows[0][0], one.free)
                    await transaction.run("UPDATE guesses SET retry_at = $1 WHERE key = $2", now + wait, one.key)
            await audit.write(transaction, *([] if note is None else [note]))

        await self._driver.write(unit)

    async def give_back(self, taken: AttemptLimits) -> None:
        """One statement."""
        await self._driver.write_one(*self._end_attempt(taken))

    async def settle(self, taken: AttemptLimits | None, counters: Sequence[AttemptCounter]) -> None:
        """The account's counters first: who holds the row of an address never waits for one of an account."""
        anew = f"UPDATE guesses SET failures = 0, retry_at = 0 WHERE {self._in_order()}"
        keys = self._driver.list_value(sorted({counter.key for counter in counters}))

        async def unit(transaction: Transaction) -> None:
            await transaction.run(anew, keys)
            if taken is not None:
                await transaction.run(*self._end_attempt(taken))

        await self._driver.write(unit)

    async def purge(self, now: int, limit: int) -> int:
        """Delete at most `limit` rows that nobody has touched for a long time; how many."""
        sql = "DELETE FROM guesses WHERE key IN (SELECT key FROM guesses WHERE touched_at <= $1 LIMIT $2) RETURNING key"
        return len(await self._driver.write_one(sql, now - _FORGET_MS, limit))

    def _end_attempt(self, taken: AttemptLimits) -> tuple[str, object, int]:
        """The statement by which an attempt does not run any more, and its parameters."""
        keys = self._driver.list_value([one.key for one in _in_order(taken)])
        return f"UPDATE guesses SET {_END} WHERE {self._in_order()}", keys, taken.period

    def _in_order(self) -> str:
        """The condition that `key` is in the list `$1`, for an UPDATE that locks them in order."""
        wanted = f"SELECT key FROM guesses WHERE {self._driver.in_list('key')} ORDER BY key"
        return f"key IN ({self._driver.locking(wanted)})"


def wait_after(failures: int, free: int) -> int:
    """Milliseconds until the next attempt: one second behind the last free failure, then twice as long each time."""
    if failures < free:
        return 0
    return min(_FIRST_WAIT_MS << min(failures - free, 20), LONGEST_WAIT_MS)


def _in_order(wanted: AttemptLimits) -> list[AttemptCounter | Budget]:
    return sorted((*wanted.counters, *wanted.budgets), key=lambda one: one.key)


async def _take_counter(transaction: Transaction, counter: AttemptCounter, now: int, period: int) -> None:
    furthest = now + LONGEST_WAIT_MS + _CLOCK_SLACK_MS
    limits = (counter.limit, furthest, counter.free)
    if await transaction.run(_TAKE_COUNTER, counter.key, now, period, *limits):
        return
    rows = await transaction.run("SELECT failures, retry_at FROM guesses WHERE key = $1", counter.key)
    failures, retry_at = rows[0]
    if failures >= counter.limit:
        raise TooManyAttempts(_seconds(LONGEST_WAIT_MS))
    if now < retry_at <= furthest:
        raise TooManyAttempts(_seconds(retry_at - now))
    raise Overloaded(_BUSY_SECONDS)


async def _take_budget(transaction: Transaction, budget: Budget, now: int, period: int) -> None:
    furthest = now + budget.capacity_ms + _CLOCK_SLACK_MS
    limits = (budget.cost_ms, budget.capacity_ms, furthest)
    if await transaction.run(_TAKE_BUDGET, budget.key, now, period, *limits):
        return
    rows = await transaction.run("SELECT retry_at FROM guesses WHERE key = $1", budget.key)
    over = rows[0][0] - now + budget.cost_ms - budget.capacity_ms
    if over > 0 and rows[0][0] <= furthest:
        raise TooManyAttempts(_seconds(over))
    raise Overloaded(_BUSY_SECONDS)


def _seconds(milliseconds: int) -> int:
    return max(1, -(-milliseconds // 1000))
