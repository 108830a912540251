"""A large SQLite file: its start reads little of it, and the rest is read afterwards, beside the requests."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from server.app import open_services
from server.core.errors import StoreRefused, StoreUnavailable
from server.database.failure import DAMAGED
from server.database.sqlite import damage, rest_check, serving, waiting_unit
from server.database.sqlite.check_note import CheckNote
from server.database.sqlite.contents import beside
from server.database.sqlite.driver import SqliteDriver
from tests.locks import write_lock
from tests.process.clients import until
from tests.running import settings_with
from tests.spoilt_stores import empty_an_index, fill

PAGE = 4096
# A statement that never ends by itself.
ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is taken for a large one."""
    monkeypatch.setattr(serving, "MOST_BYTES_AT_START", 0)


@asynccontextmanager
async def opened(path: Path, inherited: list[int] | None = None) -> AsyncIterator[SqliteDriver]:
    driver = await SqliteDriver.open(path, serving=True, inherited=inherited)
    try:
        yield driver
    finally:
        await driver.close()


async def make(path: Path) -> None:
    async with opened(path):
        pass


def note_in(path: Path) -> str:
    return beside(path, ".serve-lock").read_text()


def spoil(path: Path, table: str = "known_clients") -> bytes:
    """The root of a table gets other bytes: of one that no start reads. Returns what the file was."""
    content = path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", [table]).fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(random.Random(1).randbytes(PAGE))
    return content


def put_back(path: Path, content: bytes) -> None:
    for ending in ("-wal", "-shm"):
        beside(path, ending).unlink(missing_ok=True)
    path.write_bytes(content)


async def until_damaged(driver: SqliteDriver) -> None:
    """It follows other processes, as each server does, and nobody asks for anything."""
    reasons: list[str | None] = []
    while not reasons:
        try:
            await driver.wait_for_change(1.0)
        except StoreUnavailable as refused:
            reasons.append(refused.reason)
    assert reasons == [DAMAGED]


def swap(path: Path, away: Path, content: str) -> None:
    """The file is moved away, and another one gets its name."""
    path.rename(away)
    path.write_bytes(away.read_bytes() if content == "a copy" else bytes(9000))


def write_over(path: Path, content: bytes) -> None:
    """The same file is whole again."""
    with path.open("r+b") as file:
        file.write(content)


async def until_whole(driver: SqliteDriver) -> None:
    is_whole = False
    while not is_whole:
        with suppress(StoreUnavailable):
            await driver.wait_for_change(0.2)
            is_whole = True


def read_so_far() -> int:
    """The bytes that this process has read."""
    return int(Path("/proc/self/io").read_text("ascii").partition("rchar: ")[2].split()[0])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much was read")
async def test_a_start_reads_little_of_a_large_file_and_the_check_reads_all(path: Path) -> None:
    await make(path)
    before = read_so_far()
    await make(path)
    small = read_so_far() - before
    fill(path, serving.MOST_BYTES_AT_START)
    before = read_so_far()
    async with opened(path) as driver:
        assert read_so_far() - before < small + 1_000_000
        assert note_in(path) == "quick_check\n"
        await driver.check_rest()
        assert read_so_far() - before > serving.MOST_BYTES_AT_START
        assert note_in(path) == ""


async def test_a_small_file_is_read_before_anything_else(path: Path) -> None:
    await make(path)
    spoil(path)
    with pytest.raises(StoreRefused, match="is damaged"):
        await make(path)


@pytest.mark.usefixtures("large")
async def test_what_was_checked_is_told_once(path: Path) -> None:
    await make(path)
    with capture_logs() as lines:
        async with opened(path) as driver:
            await driver.check_rest()
            # A worker that takes the place of another one.
            await driver.check_rest()
            await driver.write_one("DELETE FROM readiness")
    assert [line["event"] for line in lines] == ["the store was checked"]
    assert lines[0]["bytes"] > 0


@pytest.mark.usefixtures("large")
async def test_damage_is_found_that_no_request_has_touched_and_the_next_start_knows_of_it(path: Path) -> None:
    await make(path)
    content = spoil(path)
    with capture_logs() as lines:
        async with opened(path) as driver:
            await driver.write_one("DELETE FROM readiness")
            await driver.check_rest()
            await until_damaged(driver)
            with pytest.raises(StoreUnavailable):
                await driver.write_one("DELETE FROM readiness")
            with pytest.raises(StoreUnavailable):
                await driver.read("SELECT 1")
    assert [line["event"] for line in lines].count("the store is damaged") == 1
    assert "the store was checked" not in [line["event"] for line in lines]
    for _ in range(2):
        with pytest.raises(StoreRefused, match="is damaged"):
            await make(path)
    put_back(path, content)
    await make(path)
    assert note_in(path) == ""


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("table", ["revocations", "server_keys", "users"])
async def test_a_start_that_needs_what_is_damaged_says_so(path: Path, table: str) -> None:
    settings = settings_with(f"sqlite:///{path}")
    async with open_services(settings, serving=True):
        pass
    content = spoil(path, table)
    for _ in range(2):
        with pytest.raises(StoreRefused, match=r"is damaged or no SQLite database \(.+\); restore a backup"):
            async with open_services(settings, serving=True) as services:
                # The start looks for the first account, with its services.
                await services.repositories.driver.read("SELECT name FROM users")
        assert note_in(path).startswith("damaged ")
    put_back(path, content)
    async with open_services(settings, serving=True):
        pass


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("crashed", [False, True])
async def test_after_a_crash_indexes_are_compared_too(path: Path, tmp_path: Path, crashed: bool) -> None:
    await make(path)
    fill(path, 100_000)
    name = empty_an_index(path)
    left = tmp_path / "left"
    async with opened(path) as driver:
        await driver.write_one("INSERT INTO readiness (id, writes) VALUES (1, 1) ON CONFLICT DO NOTHING")
        shutil.copytree(path.parent, left)
    with capture_logs() as lines:
        async with opened(left / path.name if crashed else path) as driver:
            await driver.check_rest()
            if crashed:
                await until_damaged(driver)
    found = [line["reason"] for line in lines if line["event"] == "the store is damaged"]
    assert len(found) == crashed
    assert all(f"index {name}" in reason for reason in found)


@pytest.mark.usefixtures("large")
async def test_damage_that_another_worker_finds_meanwhile_stays_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(path)
    async with opened(path) as driver:
        note = CheckNote(driver.held_descriptors()[0])

        def well_before(*_: Any) -> None:
            """What it has read was well, and is damaged since."""
            note.tell_damage("page 7: a wrong one")

        monkeypatch.setattr(rest_check, "problem_in", well_before)
        with capture_logs() as lines:
            await driver.check_rest()
        assert note.damage == "page 7: a wrong one"
        assert lines == []


@pytest.mark.usefixtures("large")
async def test_a_large_file_is_read_at_once_if_it_cannot_be_noted_that_it_is_to_be_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(path)
    spoil(path)

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StoreRefused, match="is damaged"):
        await make(path)


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each check takes as long as it is allowed to; the list has what has begun and ended."""
    begun: list[str] = []

    def never(connection: sqlite3.Connection, check: str, *_: Any) -> None:
        begun.append(check)
        try:
            connection.execute(ENDLESS).fetchone()
        finally:
            begun.append("ended")

    for module in (rest_check, damage):
        monkeypatch.setattr(module, "problem_in", never)
    return begun


@pytest.mark.usefixtures("large")
async def test_a_check_that_is_under_way_ends_with_the_server_and_is_begun_anew(path: Path, endless: list[str]) -> None:
    await make(path)
    with capture_logs() as lines:
        async with opened(path) as driver:
            checking = asyncio.create_task(driver.check_rest())
            await until(lambda: bool(endless))
            checking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await checking
            assert endless == ["quick_check", "ended"]
    assert note_in(path) == "quick_check\n"
    assert lines == []


@pytest.mark.usefixtures("large")
async def test_a_check_of_a_file_that_is_damaged_ends_with_the_server(path: Path, endless: list[str]) -> None:
    """It is not in the background: nothing is written meanwhile."""
    await make(path)
    async with opened(path) as driver:
        driver._watch.damage.notice(UnicodeDecodeError("utf-8", b"", 0, 1, "text"))
        writing = asyncio.create_task(driver.write_one("DELETE FROM readiness"))
        await until(lambda: bool(endless))
    with pytest.raises(StoreUnavailable):
        await writing
    assert endless == ["integrity_check", "ended"]


@pytest.mark.usefixtures("large")
async def test_a_check_is_given_up_while_the_log_grows_too_much(
    path: Path, endless: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"MOST_LOG_BYTES": -1, "LOOK_SECONDS": 0.01, "PAUSE_SECONDS": 0.0}.items():
        monkeypatch.setattr(rest_check, name, value)
    await make(path)
    with capture_logs() as lines:
        async with opened(path) as driver:
            await driver.check_rest()
            await driver.write_one("DELETE FROM readiness")
    assert [(line["event"], line["reason"]) for line in lines] == [("the store could not be checked", "interrupted")]
    assert endless == ["quick_check", "ended"] * rest_check.TRIES
    assert note_in(path) == "quick_check\n"


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("content", ["a copy", "something else"])
async def test_a_file_in_the_place_of_the_one_that_is_served_says_nothing_of_it(
    path: Path, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest_check, "PAUSE_SECONDS", 0.0)
    await make(path)
    away = path.with_name("away.db")
    with capture_logs() as lines:
        async with opened(path) as driver:
            swap(path, away, content)
            await driver.check_rest()
            away.replace(path)
            await driver.write_one("DELETE FROM readiness")
    assert [line["event"] for line in lines] == ["the store could not be checked"]
    assert note_in(path) == "quick_check\n"


@pytest.mark.usefixtures("large")
async def test_other_workers_hear_of_damage_and_of_its_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_unit, "BEGIN_SECONDS", 0.1)
    monkeypatch.setattr(damage, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(damage, "_PAUSE_TIMES", 0)
    await make(path)
    content = spoil(path)
    async with opened(path) as first, opened(path, list(first.held_descriptors())) as second:
        await first.check_rest()
        await until_damaged(second)
        await until_damaged(first)
        # It is due to read the file again, and another process does so just now.
        with write_lock(path), pytest.raises(StoreUnavailable) as refused:
            await second.write_one("DELETE FROM readiness")
        assert refused.value.reason == DAMAGED
        write_over(path, content)
        for driver in (first, second):
            await until_whole(driver)
            await driver.write_one("DELETE FROM readiness")
    assert note_in(path) == ""


@pytest.mark.usefixtures("large")
async def test_no_command_writes_to_what_a_running_server_knows_to_be_damaged(path: Path) -> None:
    await make(path)
    content = spoil(path)
    async with opened(path) as server:
        await server.check_rest()
        command = await SqliteDriver.open(path, serving=False)
        assert [tuple(row) for row in await command.read("SELECT count(*) FROM users")] == [(0,)]
        with pytest.raises(StoreUnavailable) as refused:
            await command.write_one("DELETE FROM readiness")
        assert refused.value.reason == DAMAGED
        await command.close()
    put_back(path, content)
    # No server has seen it yet.
    command = await SqliteDriver.open(path, serving=False)
    await command.write_one("DELETE FROM readiness")
    await command.close()


@pytest.mark.parametrize("line", ["", "\n", "\0\0\0", "quick", "integrity_check now\n", "\u00e9" * 5000])
def test_a_line_that_says_nothing_counts_as_none(tmp_path: Path, line: str) -> None:
    file = tmp_path / "lock"
    file.write_text(line, "utf-8")
    with file.open("r+b") as lock:
        note = CheckNote(lock.fileno())

        def known() -> tuple[str | None, str | None]:
            return note.check, note.damage

        assert known() == (None, None)
        note.tell_damage("page 7: a wrong one")
        assert known() == (None, "page 7: a wrong one")
        note.clear_check()
        assert known() == (None, "page 7: a wrong one")
        assert note.tell_unchecked("integrity_check")
        assert known() == ("integrity_check", None)
        note.clear_check()
        assert known() == (None, None)
        note.tell_damage("page 8")
        note.clear()
        assert known() == (None, None)
    assert file.read_bytes() == b""
