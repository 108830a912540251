"""Taking and ending attempts, and how long who is refused waits.

Three words mean one thing: the code says attempts, the table and the names of the settings say guesses, the section of
the settings and the logger say limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from server.audit.model import AuditNote
from server.audit.repository import AuditRepository
from server.authentication.errors import TooManyAttempts
from server.authentication.model import AttemptCounter, AttemptLimits, Budget, StoredCount
from server.authentication.repository import AttemptRepository
from server.core.errors import Overloaded, TryLater
from server.database.driver import Driver, Transaction

LONGEST_WAIT_MS = 900_000
_FIRST_WAIT_MS = 1000
# An attempt that nobody ended counts for one to two of these. Longer than the queue of hashes takes.
PERIOD_MS = 60_000
# The next of those that run will have ended by then.
_BUSY_SECONDS = 1
# A count that nobody touched for so long goes, whether its account exists or not.
FORGET_MS = 90 * 86_400_000
# A time further ahead than any wait was written by a clock that was wrong, and counts as over: or one that
# was a year ahead for a moment would shut everybody out for a year. Clocks of several nodes may differ by so much.
_CLOCK_SLACK_MS = 60_000


class Attempts:
    """Takes and ends attempts, one transaction each."""

    def __init__(self, driver: Driver, repository: AttemptRepository, audit: AuditRepository) -> None:
        self._driver = driver
        self._repository = repository
        self._audit = audit

    async def take(self, wanted: AttemptLimits, now: int) -> AttemptLimits:
        """Take one attempt from all of its counters and budgets, or from none. Raises TooManyAttempts or Overloaded."""
        repository, period = self._repository, now // PERIOD_MS

        async def unit(transaction: Transaction) -> None:
            for one in wanted.in_order():
                times = {"now": now, "period": period, "furthest_at": _furthest_at(one, now)}
                if isinstance(one, Budget):
                    if not await repository.take_budget(transaction, one, **times):
                        raise refusal_of_budget(one, await repository.count_of(transaction, one.key), now)
                elif not await repository.take_counter(transaction, one, **times):
                    raise refusal_of_counter(one, await repository.count_of(transaction, one.key), now)

        await self._driver.write(unit)
        return replace(wanted, period=period)

    async def note_failure(self, taken: AttemptLimits, now: int, note: AuditNote | None = None) -> None:
        """Counters wait longer and longer, budgets pay. The note is recorded in the same unit."""
        audit, repository = self._audit.writer(), self._repository

        async def unit(transaction: Transaction) -> None:
            for one in taken.in_order():
                if isinstance(one, Budget):
                    times = {"now": now, "period": taken.period, "furthest_at": _furthest_at(one, now)}
                    await repository.fail_budget(transaction, one, **times)
                    continue
                failures = await repository.fail_counter(transaction, one, taken.period)
                if failures >= one.free:
                    await repository.wait_until(transaction, one, now + wait_after(failures, one.free))
            await audit.write(transaction, *([] if note is None else [note]))

        await self._driver.write(unit)

    async def give_back(self, taken: AttemptLimits) -> None:
        """Undo `take`: nothing was checked."""
        await self._repository.give_back(taken)

    async def settle(self, taken: AttemptLimits | None, counters: Sequence[AttemptCounter]) -> None:
        """These begin anew, and what was taken ends.

        The account's counters first: who holds the row of an address never waits for one of an account.
        """

        async def unit(transaction: Transaction) -> None:
            await self._repository.begin_anew(transaction, counters)
            if taken is not None:
                await self._repository.end(transaction, taken)

        await self._driver.write(unit)


def wait_after(failures: int, free: int) -> int:
    """Milliseconds until the next attempt: a second behind the last free failure, then twice as long each time."""
    if failures < free:
        return 0
    return min(_FIRST_WAIT_MS << min(failures - free, 20), LONGEST_WAIT_MS)


def refusal_of_counter(counter: AttemptCounter, count: StoredCount, now: int) -> TryLater:
    """Why none was taken: the limit is reached, or a wait is not over, or so many run that all could be wrong."""
    if count.failures >= counter.limit:
        return TooManyAttempts(_seconds(LONGEST_WAIT_MS))
    if now < count.retry_at <= _furthest_at(counter, now):
        return TooManyAttempts(_seconds(count.retry_at - now))
    return Overloaded(_BUSY_SECONDS)


def refusal_of_budget(budget: Budget, count: StoredCount, now: int) -> TryLater:
    """Why none was taken: it is spent, or what is left of it is held by those that run."""
    over = count.retry_at - now + budget.cost_ms - budget.capacity_ms
    if over > 0 and count.retry_at <= _furthest_at(budget, now):
        return TooManyAttempts(_seconds(over))
    return Overloaded(_BUSY_SECONDS)


def _furthest_at(one: AttemptCounter | Budget, now: int) -> int:
    return now + _CLOCK_SLACK_MS + (one.capacity_ms if isinstance(one, Budget) else LONGEST_WAIT_MS)


def _seconds(milliseconds: int) -> int:
    return max(1, -(-milliseconds // 1000))
