"""Attempts whose end can't be written at once: they keep nobody out when the store is well again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from server.authentication.attempts import Attempts
from server.authentication.errors import TooManyAttempts
from server.authentication.model import AttemptCounter, AttemptLimits, Budget
from server.core.errors import Overloaded, StoreUnavailable
from server.database.sqlite import waiting_unit
from server.repositories import Repositories, open_repositories
from tests.accounts import attempts_on
from tests.locks import sqlite_lock
from tests.records import NOW

ACCOUNT = AttemptCounter("account:a", 70, 20)
ADDRESS = Budget("address:a", 60_000, 6_000_000)
LIMITS = AttemptLimits((ACCOUNT,), (ADDRESS,))
MANY = ACCOUNT.free


@pytest.fixture
async def store(url: str) -> AsyncIterator[Repositories]:
    opened = await open_repositories(url, serving=True)
    yield opened
    await opened.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """The store takes no writes, which is not waited for. Before and after it any write has the time that it needs."""
    with sqlite_lock(path), pytest.MonkeyPatch.context() as patched:
        patched.setattr(waiting_unit, "BEGIN_SECONDS", 0.2)
        yield


async def end_while_locked(attempts: Attempts, path: Path, *, failed: bool) -> None:
    """Take as many as may run, and end them while the store takes no writes."""
    taken = [await attempts.take(LIMITS, NOW) for _ in range(MANY)]
    with pytest.raises(Overloaded):
        await attempts.take(LIMITS, NOW)
    with locked(path):
        ending = [attempts.note_failure(one, NOW) if failed else attempts.give_back(one) for one in taken]
        outcomes = await asyncio.gather(*ending, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}


async def test_what_was_given_back_is_given_back_before_the_next_one(store: Repositories, path: Path) -> None:
    attempts = attempts_on(store)
    await end_while_locked(attempts, path, failed=False)
    for _ in range(MANY):
        await attempts.take(LIMITS, NOW)


async def test_a_success_ends_but_forgets_no_failures_later(store: Repositories, path: Path) -> None:
    attempts = attempts_on(store)
    await attempts.note_failure(await attempts.take(LIMITS, NOW), NOW)
    taken = [await attempts.take(LIMITS, NOW) for _ in range(MANY - 1)]
    with locked(path):
        settling = [attempts.settle(one, [ACCOUNT]) for one in taken]
        outcomes = await asyncio.gather(*settling, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
    await attempts.take(LIMITS, NOW)
    assert (await attempts.counts([ACCOUNT.key]))[ACCOUNT.key].failures == 1


async def test_failures_are_counted_later(store: Repositories, path: Path) -> None:
    attempts = attempts_on(store)
    await end_while_locked(attempts, path, failed=True)
    # The store fails again, and nothing is forgotten.
    with locked(path), pytest.raises(StoreUnavailable):
        await attempts.take(LIMITS, NOW)
    assert (await attempts.counts([ACCOUNT.key]))[ACCOUNT.key].failures == 0
    with pytest.raises(TooManyAttempts):
        await attempts.take(LIMITS, NOW)
    assert (await attempts.counts([ACCOUNT.key]))[ACCOUNT.key].failures == MANY


async def test_what_was_perhaps_written_is_not_written_again(
    store: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of an attempt that is noted twice would be that of somebody else's."""
    attempts = attempts_on(store)
    first = await attempts.take(LIMITS, NOW)
    await attempts.take(LIMITS, NOW)
    write_one = store.driver.write_one

    async def lose_answer(sql: str, *parameters: object) -> None:
        await write_one(sql, *parameters)
        raise StoreUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(store.driver, "write_one", lose_answer)
        with pytest.raises(StoreUnavailable):
            await attempts.give_back(first)
    # One is running, so one less may.
    for _ in range(MANY - 1):
        await attempts.take(LIMITS, NOW)
    with pytest.raises(Overloaded):
        await attempts.take(LIMITS, NOW)
