"""The one writer: what is grouped, what is rolled back, and when callers hear of it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from server.core.errors import StoreUnavailable
from server.database.driver import Row, Transaction
from server.database.sqlite.contents import beside
from server.database.sqlite.driver import SqliteDriver
from server.files.file_lock import FileLock
from server.repositories import Repositories
from tests.records import add_user, all_users, id_of, new_user, session, usernames


class _Writing:
    """A store, its driver, and the lock that makes the writer wait."""

    def __init__(self, driver: SqliteDriver, path: Path) -> None:
        self.driver = driver
        self.store = Repositories(driver)
        self.lock = FileLock(beside(path, ".write-lock"))
        self.connection = driver._writer._connection
        self.transaction = driver._writer._transaction

    async def traced(self) -> list[str]:
        statements: list[str] = []
        await self.connection.set_trace_callback(statements.append)
        return statements


@pytest.fixture
async def writing(path: Path) -> AsyncIterator[_Writing]:
    driver = await SqliteDriver.open(path, serving=True)
    writing = _Writing(driver, path)
    yield writing
    writing.lock.close()
    await driver.close()


async def test_what_waits_is_committed_together(writing: _Writing) -> None:
    statements = await writing.traced()
    await asyncio.gather(*(add_user(writing.store, new_user(number)) for number in range(40)))
    assert statements.count("COMMIT") == 1
    assert len(await all_users(writing.store)) == 40


async def test_a_group_is_bounded(writing: _Writing) -> None:
    statements = await writing.traced()
    await asyncio.gather(*(add_user(writing.store, new_user(number)) for number in range(100)))
    assert statements.count("COMMIT") == 2


async def test_a_failing_unit_is_rolled_back_alone(writing: _Writing) -> None:
    async def failing(transaction: Transaction) -> None:
        await transaction.run("UPDATE users SET name = 'spoilt'")
        raise LookupError

    async def wrong(transaction: Transaction) -> None:
        await transaction.run("UPDATE users SET name = 'spoilt'")
        await transaction.run("SELECT nothing FROM nowhere")

    statements = await writing.traced()
    outcomes = await asyncio.gather(
        add_user(writing.store, new_user(1)),
        writing.driver.write(failing),
        writing.driver.write(wrong),
        add_user(writing.store, new_user(2)),
        return_exceptions=True,
    )
    assert statements.count("COMMIT") == 1
    assert isinstance(outcomes[1], LookupError)
    assert isinstance(outcomes[2], StoreUnavailable)
    assert isinstance(outcomes[2].__cause__, sqlite3.OperationalError)
    assert [user.name for user in await all_users(writing.store)] == ["Name 1", "Name 2"]


async def test_a_broken_reference_changes_nothing(writing: _Writing) -> None:
    async def unit(transaction: Transaction) -> None:
        opened = session(1, 99)
        await transaction.run(
            "INSERT INTO sessions (id, user_id, step, created_at, stepped_at, idle_expires_at, expires_at) "
            "VALUES ($1, $2, 0, 0, 0, 0, 0)",
            opened.id,
            opened.user_id,
        )

    with pytest.raises(StoreUnavailable) as refused:
        await writing.driver.write(unit)
    assert refused.value.reason == "SQLITE_CONSTRAINT_FOREIGNKEY"
    assert await writing.store.sessions.get_session(id_of(1)) is None


async def test_a_unit_whose_caller_left_in_time_is_dropped(writing: _Writing) -> None:
    assert writing.lock.try_acquire()
    writes = [asyncio.create_task(add_user(writing.store, new_user(number))) for number in range(6)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for write in writes[::2]:
        write.cancel()
    writing.lock.release()
    await asyncio.gather(*writes, return_exceptions=True)
    assert await usernames(writing.store) == {"user1", "user3", "user5"}


async def test_a_unit_that_has_begun_is_finished_though_its_caller_left(writing: _Writing) -> None:
    loop, begun, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    async def unit(transaction: Transaction) -> None:
        await transaction.run("UPDATE users SET name = 'first'")
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(10)
        await transaction.run("UPDATE users SET role = 'second'")

    await add_user(writing.store, new_user(1))
    caller = asyncio.create_task(writing.driver.write(unit))
    await begun.wait()
    follower = asyncio.create_task(add_user(writing.store, new_user(2)))
    caller.cancel()
    go_on.set()
    await follower
    assert caller.cancelled()
    user = await writing.store.users.get_user(id_of(1))
    assert user is not None
    assert (user.name, user.role) == ("first", "second")
    assert not writing.connection.in_transaction


async def test_nobody_hears_of_a_write_before_its_commit(writing: _Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    execute = writing.transaction.execute
    loop, committing, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def slow_commit(sql: str, *parameters: Any) -> Sequence[Row]:
        if sql == "COMMIT":
            loop.call_soon_threadsafe(committing.set)
            go_on.wait(10)
        return execute(sql, *parameters)

    monkeypatch.setattr(writing.transaction, "execute", slow_commit)
    write = asyncio.create_task(add_user(writing.store, new_user(1)))
    await committing.wait()
    assert await usernames(writing.store) == set()
    assert not write.done()
    go_on.set()
    await write
    assert await usernames(writing.store) == {"user1"}


@pytest.mark.parametrize("broken", ["BEGIN IMMEDIATE", "COMMIT"])
async def test_a_failed_commit_fails_the_group_and_the_writer_goes_on(
    writing: _Writing, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    execute = writing.transaction.execute

    def fails(sql: str, *parameters: Any) -> Sequence[Row]:
        if sql == broken:
            raise sqlite3.OperationalError("disk I/O error")
        return execute(sql, *parameters)

    with monkeypatch.context() as patched:
        patched.setattr(writing.transaction, "execute", fails)
        outcomes = await asyncio.gather(
            *(add_user(writing.store, new_user(number)) for number in range(5)), return_exceptions=True
        )
    assert [type(outcome) for outcome in outcomes] == 5 * [StoreUnavailable]
    assert await all_users(writing.store) == []
    assert not writing.connection.in_transaction
    await add_user(writing.store, new_user(7))
    assert await usernames(writing.store) == {"user7"}


async def test_a_full_disk_fails_what_does_not_fit_and_nothing_else(writing: _Writing) -> None:
    await add_user(writing.store, new_user(1))
    (pages,) = next(iter(await writing.connection.execute_fetchall("PRAGMA page_count")))
    await writing.connection.execute_fetchall(f"PRAGMA max_page_count = {pages}")
    outcomes = await asyncio.gather(
        *(add_user(writing.store, new_user(number, name="x" * 50_000)) for number in range(2, 5)),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == 3 * [StoreUnavailable]
    await writing.connection.execute_fetchall(f"PRAGMA max_page_count = {pages + 1000}")
    await add_user(writing.store, new_user(9))
    assert await usernames(writing.store) == {"user1", "user9"}


async def test_the_connections_are_as_safe_as_they_should_be(writing: _Writing) -> None:
    async def setting(name: str) -> Any:
        return next(iter(await writing.connection.execute_fetchall(f"PRAGMA {name}")))[0]

    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "trusted_schema")
    assert [await setting(name) for name in names] == ["wal", 2, 1, 100, 1]
    for reader in writing.driver._readers:
        assert next(iter(await reader.connection.execute_fetchall("PRAGMA trusted_schema")))[0] == 0
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await reader.connection.execute_fetchall("DELETE FROM sessions")
    assert len(writing.driver._readers) > 1


async def test_a_lost_table_makes_the_store_unavailable(writing: _Writing) -> None:
    await writing.connection.execute_fetchall("DROP TABLE server_keys")
    with pytest.raises(StoreUnavailable) as caught:
        await writing.store.keys.list_keys()
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)


async def test_a_writer_cancelled_with_its_loop_leaves_nobody_waiting(writing: _Writing) -> None:
    assert writing.lock.try_acquire()
    writes = [asyncio.create_task(add_user(writing.store, new_user(number))) for number in range(100)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    writing.driver._writer._task.cancel()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
    writing.lock.release()


async def test_a_writer_cancelled_in_the_middle_holds_the_lock_until_its_thread_is_done(writing: _Writing) -> None:
    loop, begun, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    async def unit(transaction: Transaction) -> None:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(10)
        await transaction.run("SELECT 1")

    write = asyncio.create_task(writing.driver.write(unit))
    await begun.wait()
    writing.driver._writer._task.cancel()
    await asyncio.sleep(0)
    assert not writing.lock.try_acquire()
    go_on.set()
    await asyncio.wait([write])
    assert isinstance(write.exception(), StoreUnavailable)
    assert writing.lock.try_acquire()
    writing.lock.release()


async def test_a_unit_that_awaits_something_else_is_a_defect_and_changes_nothing(writing: _Writing) -> None:
    async def unit(transaction: Transaction) -> None:
        await transaction.run("UPDATE users SET name = 'spoilt'")
        await asyncio.sleep(0)

    await add_user(writing.store, new_user(1))
    with pytest.raises(TypeError, match="nothing but its transaction"):
        await writing.driver.write(unit)
    assert [user.name for user in await all_users(writing.store)] == ["Name 1"]
