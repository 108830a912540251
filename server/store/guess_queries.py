"""The queries about how often passwords were tried."""

from __future__ import annotations

from collections.abc import Sequence

from server.errors import TooManyAttempts
from server.store.driver import Driver, Transaction
from server.store.records import Budget, GuessCounter, Try

LONGEST_WAIT_MS = 900_000
_FIRST_WAIT_MS = 1000
# A row that nobody touched for so long goes, whether its account exists or not.
_FORGET_MS = 90 * 86_400_000

# A time further ahead than any wait was written by a clock that was wrong, and counts as over: or one that
# was a year ahead for a moment would shut everybody out for a year. Clocks of several nodes may differ by so much.
_CLOCK_SLACK_MS = 60_000

_TAKE_COUNTER = (
    "INSERT INTO guesses (key, taken, failures, retry_at, touched_at) VALUES ($1, 1, 0, 0, $2) "
    "ON CONFLICT (key) DO UPDATE SET taken = guesses.taken + 1, touched_at = $2 "
    "WHERE guesses.taken < $3 AND (guesses.retry_at <= $2 OR guesses.retry_at > $4) RETURNING taken"
)
# `retry_at` is when the budget will be full again. $3 is that time for one try of a full one, $4 the latest at which
# one more may be taken, $5 its cost.
_TAKE_BUDGET = (
    "INSERT INTO guesses (key, taken, failures, retry_at, touched_at) VALUES ($1, 1, 0, $3, $2) "
    "ON CONFLICT (key) DO UPDATE SET taken = guesses.taken + 1, touched_at = $2, "
    "retry_at = CASE WHEN guesses.retry_at BETWEEN $2 AND $6 THEN guesses.retry_at + $5 ELSE $3 END "
    "WHERE guesses.retry_at <= $4 OR guesses.retry_at > $6 RETURNING taken"
)
# A success meanwhile has begun the counter anew, so it may be lower than this try thinks.
_GIVE_BACK = (
    "UPDATE guesses SET taken = CASE WHEN taken > 0 THEN taken - 1 ELSE 0 END, retry_at = retry_at - $1 WHERE key = $2"
)


class GuessQueries:
    """GuessStore of protocol.py, on any driver."""

    _driver: Driver

    async def take_try(self, wanted: Try, now: int) -> None:
        """All of its counters and budgets, or none. In the order of their keys, so no two units wait for each other."""

        async def unit(transaction: Transaction) -> None:
            for one in _in_order(wanted):
                if isinstance(one, GuessCounter):
                    await _take_counter(transaction, one, now)
                else:
                    await _take_budget(transaction, one, now)

        await self._driver.write(unit)

    async def note_failure(self, taken: Try, now: int) -> None:
        """The try was wrong: its counters wait longer and longer. Budgets were paid when it was taken."""

        async def unit(transaction: Transaction) -> None:
            for counter in sorted(taken.counters, key=lambda counter: counter.key):
                rows = await transaction.run(
                    "UPDATE guesses SET failures = failures + 1 WHERE key = $1 RETURNING failures", counter.key
                )
                if rows and rows[0][0] >= counter.free:
                    wait = wait_after(rows[0][0], counter.free)
                    await transaction.run("UPDATE guesses SET retry_at = $1 WHERE key = $2", now + wait, counter.key)

        await self._driver.write(unit)

    async def give_back(self, taken: Try) -> None:
        """The try was no guess: what it paid comes back."""

        async def unit(transaction: Transaction) -> None:
            for one in _in_order(taken):
                back = one.cost_ms if isinstance(one, Budget) else 0
                await transaction.run(_GIVE_BACK, back, one.key)

        await self._driver.write(unit)

    async def settle(self, budgets: Sequence[Budget], counters: Sequence[GuessCounter]) -> None:
        """Budgets get back what was paid, counters begin anew."""
        forget = f"DELETE FROM guesses WHERE {self._driver.in_list('key')}"
        keys = self._driver.list_value(sorted({counter.key for counter in counters}))

        async def unit(transaction: Transaction) -> None:
            # Counters stand before budgets in the order of the keys too, where one try has both.
            await transaction.run(forget, keys)
            for budget in sorted(budgets, key=lambda budget: budget.key):
                await transaction.run(_GIVE_BACK, budget.cost_ms, budget.key)

        await self._driver.write(unit)

    async def purge_tries(self, now: int, limit: int) -> int:
        """Delete at most `limit` rows that nobody has touched for a long time; how many."""
        sql = "DELETE FROM guesses WHERE key IN (SELECT key FROM guesses WHERE touched_at <= $1 LIMIT $2) RETURNING key"
        return len(await self._driver.write_one(sql, now - _FORGET_MS, limit))


def wait_after(failures: int, free: int) -> int:
    """Milliseconds until the next try: one second behind the last free failure, then twice as long each time."""
    if failures < free:
        return 0
    return min(_FIRST_WAIT_MS << min(failures - free, 20), LONGEST_WAIT_MS)


def _in_order(wanted: Try) -> list[GuessCounter | Budget]:
    return sorted((*wanted.counters, *wanted.budgets), key=lambda one: one.key)


async def _take_counter(transaction: Transaction, counter: GuessCounter, now: int) -> None:
    furthest = now + LONGEST_WAIT_MS + _CLOCK_SLACK_MS
    if await transaction.run(_TAKE_COUNTER, counter.key, now, counter.limit, furthest):
        return
    rows = await transaction.run("SELECT taken, retry_at FROM guesses WHERE key = $1", counter.key)
    taken, retry_at = rows[0]
    raise TooManyAttempts(_seconds(LONGEST_WAIT_MS if taken >= counter.limit else retry_at - now))


async def _take_budget(transaction: Transaction, budget: Budget, now: int) -> None:
    latest = now + budget.capacity_ms - budget.cost_ms
    furthest = now + budget.capacity_ms + _CLOCK_SLACK_MS
    if await transaction.run(_TAKE_BUDGET, budget.key, now, now + budget.cost_ms, latest, budget.cost_ms, furthest):
        return
    rows = await transaction.run("SELECT retry_at FROM guesses WHERE key = $1", budget.key)
    raise TooManyAttempts(_seconds(rows[0][0] - latest))


def _seconds(milliseconds: int) -> int:
    return max(1, -(-milliseconds // 1000))
