"""Taking and ending attempts, and how long who is refused waits.

Three words mean one thing: the code says attempts, the table and the names of the settings say guesses, the section of
the settings and the logger say limits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from server.audit.model import AuditNote
from server.audit.repository import AuditRepository
from server.authentication.errors import TooManyAttempts
from server.authentication.model import AttemptCounter, AttemptLimits, Budget, StoredCount
from server.authentication.repository import AttemptRepository
from server.core.errors import Overloaded, StoreUnavailable, TryLater
from server.database.driver import Driver, Transaction, Unit
from server.database.patience import current_patience, with_own_patience

LONGEST_WAIT_MS = 900_000
_FIRST_WAIT_MS = 1000
# An attempt that was never ended counts for one to two periods. A period is longer than a wait in the queue of hashes.
PERIOD_MS = 60_000
# By then one of the running attempts has ended.
_BUSY_SECONDS = 1
# So many ends of attempts are kept to be written later; of any more the attempts end by themselves.
MOST_LEFT = 1000
# A count that has not changed for so long is deleted, whether its account exists or not.
FORGET_MS = 90 * 86_400_000
# A time that is further ahead than any wait was written by a wrong clock, and counts as over. Otherwise a clock that
# was a year ahead for a moment would lock everybody out for a year. The clocks of nodes may differ by this much.
_CLOCK_SLACK_MS = 60_000


class Attempts:
    """Takes and ends attempts, one transaction each."""

    def __init__(self, driver: Driver, repository: AttemptRepository, audit: AuditRepository) -> None:
        self._driver = driver
        self._repository = repository
        self._audit = audit
        # What was not written of how attempts have ended. Otherwise a disk that fails for a moment would leave so many
        # of an account running that its owner can't log in for a minute or two.
        self._left: list[Unit[None]] = []
        self._ending: set[asyncio.Task[None]] = set()

    async def end(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what ends an attempt. It is done also after the request has waited for the store as long as it may.

        Otherwise what has ended would count as running while the database is slow, and keep its account out.
        """
        left = current_patience().left
        ending = with_own_patience(work)
        self._ending.add(ending)
        ending.add_done_callback(self._ended)
        done, _ = await asyncio.wait([ending], timeout=max(0.0, left))
        if done:
            ending.result()

    def _ended(self, ending: asyncio.Task[None]) -> None:
        self._ending.discard(ending)
        if not ending.cancelled():
            # Who still waits for it raises its error.
            ending.exception()

    async def take(self, wanted: AttemptLimits, now: int) -> AttemptLimits:
        """Take one attempt from all of its counters and budgets, or from none. Raises TooManyAttempts or Overloaded."""
        if self._left:
            await self._write_left()
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
        """Count a failure: each wait of a counter is longer, and budgets pay. The note is in the same transaction."""
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

        await self._write_end(self._driver.write(unit), unit)

    async def give_back(self, taken: AttemptLimits) -> None:
        """Undo `take`: nothing was checked."""
        await self._write_end(self._repository.give_back(taken), partial(self._repository.end, taken=taken))

    async def _write_end(self, writing: Awaitable[None], later: Unit[None]) -> None:
        """Await what writes how an attempt has ended. If the store fails, `later` runs before the next one is taken."""
        try:
            await writing
        except StoreUnavailable as failure:
            # Who does not know whether it was written must not end the attempt of somebody else in its place.
            if failure.undone and len(self._left) < MOST_LEFT:
                self._left.append(later)
            raise

    async def _write_left(self) -> None:
        left, self._left = self._left, []
        outcomes = await asyncio.gather(
            *(self._write_end(self._driver.write(unit), unit) for unit in left), return_exceptions=True
        )
        for outcome in outcomes:
            if outcome is not None and not isinstance(outcome, StoreUnavailable):
                raise outcome

    async def spend(self, transaction: Transaction, budgets: Sequence[Budget], now: int) -> None:
        """Take the cost of one from each budget, at once. Raises TooManyAttempts, which must undo the transaction."""
        for budget in _in_order(budgets):
            if not await self._repository.spend(transaction, budget, now=now, furthest_at=_furthest_at(budget, now)):
                raise refusal_of_budget(budget, await self._repository.count_of(transaction, budget.key), now)

    async def spend_if_possible(self, transaction: Transaction, budgets: Sequence[Budget], now: int) -> bool:
        """The same, but False if one has too little left. Then none has paid."""
        paid: list[Budget] = []
        for budget in _in_order(budgets):
            if not await self._repository.spend(transaction, budget, now=now, furthest_at=_furthest_at(budget, now)):
                await self.refund(transaction, paid)
                return False
            paid.append(budget)
        return True

    async def refund(self, transaction: Transaction, budgets: Sequence[Budget]) -> None:
        """Give back to each budget what was spent."""
        for budget in _in_order(budgets):
            await self._repository.refund(transaction, budget)

    async def count(self, transaction: Transaction, key: str, now: int) -> int:
        """Count one more under that key. Returns how many there are."""
        return await self._repository.count(transaction, key, now)

    async def uncount(self, transaction: Transaction, key: str) -> None:
        """Take back what `count` has counted."""
        await self._repository.uncount(transaction, key)

    async def settle(self, taken: AttemptLimits | None, counters: Sequence[AttemptCounter]) -> None:
        """Reset these counters, and end the attempt that was taken.

        The counters of the account are first: a transaction that has locked the row of an address must not wait for the
        row of an account.
        """

        async def unit(transaction: Transaction) -> None:
            await self._repository.begin_anew(transaction, counters)
            if taken is not None:
                await self._repository.end(transaction, taken)

        if taken is None:
            await self._driver.write(unit)
        else:
            # Failures that are counted until then are forgotten at the next success.
            await self._write_end(self._driver.write(unit), partial(self._repository.end, taken=taken))

    async def counts(self, keys: Sequence[str]) -> dict[str, StoredCount]:
        """What is counted under these keys; those that were never counted are left out."""
        return await self._repository.counts(keys)

    async def move(self, transaction: Transaction, keys: Sequence[tuple[str, str]]) -> None:
        """Count under the second key of each pair what was counted under the first."""
        await self._repository.move(transaction, keys)


def wait_after(failures: int, free: int) -> int:
    """Milliseconds until the next attempt: a second after the last free failure, then twice as long each time."""
    if failures < free:
        return 0
    return min(_FIRST_WAIT_MS << min(failures - free, 20), LONGEST_WAIT_MS)


def refusal_of_counter(counter: AttemptCounter, count: StoredCount, now: int) -> TryLater:
    """The error if a counter refuses: its limit is reached, its wait is not over, or too many attempts run."""
    if count.failures >= counter.limit:
        return TooManyAttempts(_seconds(LONGEST_WAIT_MS))
    if now < count.retry_at <= _furthest_at(counter, now):
        return TooManyAttempts(_seconds(count.retry_at - now))
    return Overloaded(_BUSY_SECONDS)


def refusal_of_budget(budget: Budget, count: StoredCount, now: int) -> TryLater:
    """The error if a budget refuses: it is spent, or running attempts may need the rest of it."""
    over = count.retry_at - now + budget.cost_ms - budget.capacity_ms
    if over > 0 and count.retry_at <= _furthest_at(budget, now):
        return TooManyAttempts(_seconds(over))
    return Overloaded(_BUSY_SECONDS)


def _in_order(budgets: Sequence[Budget]) -> list[Budget]:
    """Budgets in the order in which their rows are locked."""
    return sorted(budgets, key=lambda budget: budget.key)


def _furthest_at(one: AttemptCounter | Budget, now: int) -> int:
    return now + _CLOCK_SLACK_MS + (one.capacity_ms if isinstance(one, Budget) else LONGEST_WAIT_MS)


def _seconds(milliseconds: int) -> int:
    return max(1, -(-milliseconds // 1000))
