"""How long anybody waits for an SQLite store that somebody else holds on to."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from server.core.errors import StoreRefused, StoreUnavailable
from server.database.driver import Transaction
from server.database.sqlite import driver as sqlite
from server.database.sqlite import file as sqlite_file
from server.database.sqlite import group_writer, waiting_unit
from server.database.sqlite import reader as sqlite_reader
from server.database.sqlite.contents import beside
from server.database.sqlite.driver import SqliteDriver
from server.repositories import Repositories, open_repositories
from tests.locks import lock_file, sqlite_lock, write_lock
from tests.records import add_user, new_user, usernames

# Far above what a busy machine needs, far below the 140 s that 700 waits would take one after the other.
BOUND_SECONDS = 30
ENDLESS = "WITH RECURSIVE count (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count) SELECT max(n) FROM count"


@pytest.fixture
async def driver(path: Path) -> AsyncIterator[SqliteDriver]:
    opened = await SqliteDriver.open(path, serving=True)
    yield opened
    await opened.close()


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    with lock_file(path, ".write-lock.turn"):
        yield


Lock = Callable[[Path], AbstractContextManager[None]]
LOCKS: list[Lock] = [write_lock, _turn, sqlite_lock]


@pytest.mark.parametrize("held", LOCKS)
async def test_all_who_wait_behind_a_lock_are_answered_at_once_and_nothing_is_written_later(
    driver: SqliteDriver, path: Path, monkeypatch: pytest.MonkeyPatch, held: Lock
) -> None:
    store = Repositories(driver)
    async with asyncio.timeout(BOUND_SECONDS):
        with held(path), monkeypatch.context() as patched:
            patched.setattr(waiting_unit, "BEGIN_SECONDS", 0.2)
            writes = (add_user(store, new_user(number)) for number in range(700))
            outcomes = await asyncio.gather(*writes, return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
            assert await usernames(store) == set()
        await add_user(store, new_user(1000))
    assert await usernames(store) == {"user1000"}


async def test_a_lock_that_is_not_free_in_time_never_keeps_the_event_loop_busy(
    driver: SqliteDriver, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer may find that the time is over just before the timers of those who wait do."""
    rounds, write_group = 0, group_writer.GroupWriter._write_group

    async def count(writer: group_writer.GroupWriter) -> None:
        nonlocal rounds
        rounds += 1
        # Else this test would never end.
        assert rounds < 10
        await write_group(writer)

    monkeypatch.setattr(group_writer.GroupWriter, "_write_group", count)
    monkeypatch.setattr(waiting_unit, "BEGIN_SECONDS", 0.0)
    with write_lock(path):
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await driver.write_one("SELECT 1")
    monkeypatch.undo()
    await driver.write_one("SELECT 1")


async def test_of_those_who_wait_the_late_ones_are_written(
    driver: SqliteDriver, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Repositories(driver)
    monkeypatch.setattr(waiting_unit, "BEGIN_SECONDS", 0.1)
    with write_lock(path):
        first = asyncio.create_task(add_user(store, new_user(1)))
        await asyncio.wait([first])
        monkeypatch.setattr(waiting_unit, "BEGIN_SECONDS", BOUND_SECONDS)
        second = asyncio.create_task(add_user(store, new_user(2)))
        await asyncio.sleep(0)
    await second
    assert isinstance(first.exception(), StoreUnavailable)
    assert await usernames(store) == {"user2"}


async def test_more_than_the_queue_holds_are_refused_without_waiting(
    driver: SqliteDriver, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_writer, "QUEUE_LIMIT", 5)
    store = Repositories(driver)
    with write_lock(path):
        writes = [asyncio.create_task(add_user(store, new_user(number))) for number in range(8)]
        done, _ = await asyncio.wait(writes, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            error = task.exception()
            assert isinstance(error, StoreUnavailable)
            assert error.headers() == {"Retry-After": "1"}
    await asyncio.wait(writes)
    assert await usernames(store) == {f"user{number}" for number in range(5)}


async def test_a_disk_that_hangs_is_answered_for_though_nobody_knows_what_becomes_of_the_unit(
    driver: SqliteDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, go_on = threading.Event(), threading.Event()

    async def unit(transaction: Transaction) -> None:
        hangs.set()
        go_on.wait(BOUND_SECONDS)
        await transaction.run("UPDATE users SET name = 'changed'")

    store = Repositories(driver)
    await add_user(store, new_user(1))
    with monkeypatch.context() as patched:
        patched.setattr(waiting_unit, "BEGIN_SECONDS", 0.05)
        patched.setattr(waiting_unit, "ANSWER_SECONDS", 0.1)
        # On a busy machine the unit may not begin in time. Then it is never run, and comes again.
        while not hangs.is_set():
            with pytest.raises(StoreUnavailable):
                await driver.write(unit)
        with pytest.raises(StoreUnavailable):
            await add_user(store, new_user(2))
    go_on.set()
    await add_user(store, new_user(3))
    assert await usernames(store) == {"user1", "user3"}


async def test_a_read_that_takes_too_long_is_answered(driver: SqliteDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sqlite_reader, "READ_SECONDS", 0.05)
        with pytest.raises(StoreUnavailable):
            await driver.read(ENDLESS)
    assert [tuple(row) for row in await driver.read("SELECT 1")] == [(1,)]


@pytest.mark.parametrize("held", LOCKS)
async def test_closing_behind_a_lock_takes_no_longer_and_loses_nothing(
    url: str, path: Path, monkeypatch: pytest.MonkeyPatch, held: Lock
) -> None:
    store = await open_repositories(url, serving=True)
    await add_user(store, new_user(1))
    async with asyncio.timeout(BOUND_SECONDS):
        with held(path), monkeypatch.context() as patched:
            patched.setattr(waiting_unit, "BEGIN_SECONDS", 0.2)
            waiting = asyncio.create_task(add_user(store, new_user(2)))
            await asyncio.sleep(0)
            await store.close()
            assert isinstance(waiting.exception(), StoreUnavailable)
            # Nobody else wrote the log back without the lock.
            assert beside(path, "-wal").stat().st_size > 0
        again = await open_repositories(url, serving=True)
    assert await usernames(again) == {"user1"}
    await again.close()


async def test_closing_does_not_wait_for_a_long_read(url: str) -> None:
    driver = await SqliteDriver.open(Path(url.removeprefix("sqlite:///")), serving=True)
    begun = threading.Event()
    for reader in driver._readers:
        await reader.connection.create_function("begun", 1, lambda _: begun.set())
    read = asyncio.create_task(driver.read(ENDLESS.replace("max", "begun")))
    await asyncio.to_thread(begun.wait)
    async with asyncio.timeout(BOUND_SECONDS):
        await driver.close()
        await asyncio.wait([read])
    assert isinstance(read.exception(), StoreUnavailable)


async def test_closing_gives_up_on_a_disk_that_hangs(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "CLOSE_SECONDS", 0.1)
    go_on = threading.Event()

    async def unit(_: Transaction) -> None:
        go_on.wait(BOUND_SECONDS)

    driver = await SqliteDriver.open(Path(url.removeprefix("sqlite:///")), serving=True)
    write = asyncio.create_task(driver.write(unit))
    await asyncio.sleep(0)
    await driver.close()
    assert not write.done()
    go_on.set()
    await write
    # What is left of closing goes on by itself.
    await asyncio.wait([task for task in asyncio.all_tasks() if task.get_name() == "sqlite closing"])


# Another process: SQLite's locks do not keep a process from itself. The pending byte is held by who waits to write.
_WHOLE_FILE = (
    "import sqlite3; file = sqlite3.connect(path, isolation_level=None); "
    "file.executescript('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')"
)
_PENDING_BYTE = "import fcntl; file = open(path, 'r+b'); fcntl.lockf(file, fcntl.LOCK_EX, 1, 0x40000000)"


@contextmanager
def _held_elsewhere(path: Path, hold: str) -> Iterator[None]:
    code = f"import sys; path = sys.argv[1]; {hold}; print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield
        process.communicate()


@pytest.mark.parametrize(
    ("hold", "message"),
    [(_WHOLE_FILE, "a program has it for itself"), (_PENDING_BYTE, "another process holds a lock on the store")],
)
@pytest.mark.parametrize("left", [False, True])
async def test_who_holds_a_lock_of_sqlite_is_not_taken_for_a_broken_disk(
    url: str, path: Path, monkeypatch: pytest.MonkeyPatch, hold: str, message: str, *, left: bool
) -> None:
    monkeypatch.setattr(sqlite_file, "LOCK_SECONDS", 0.1)
    store = await open_repositories(url, serving=True)
    await add_user(store, new_user(1))
    log = beside(path, "-wal").read_bytes()
    await store.close()
    if left:
        beside(path, "-wal").write_bytes(log)
    with _held_elsewhere(path, hold), pytest.raises(StoreRefused, match=message):
        await open_repositories(url, serving=True)
    store = await open_repositories(url, serving=True)
    assert await usernames(store) == {"user1"}
    await store.close()
