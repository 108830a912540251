"""What a command says that it has done is on the disk by then, and at every moment before there is nothing half.

As in test_power_loss.py, the file operations of the real command are recorded and played again.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from server.core.errors import StoreRefused
from tests import in_process
from tests.calling import DEADLINE_SECONDS
from tests.environment import environment
from tests.faults.lost_power import Disk, Left
from tests.faults.system_calls import Call, calls_of, require_strace, tracer
from tests.faults.test_power_loss import start
from tests.running import PASSWORD
from tests.volume import IS_FULL

MOMENTS = 40 if IS_FULL else 3


@dataclass
class Recorded:
    """What a command has done below a folder until it said something on standard output, and until its end."""

    before: Disk
    calls: list[Call]
    # How many calls were done when it said what it has done.
    told: int


def record(root: Path, trace: Path, *arguments: str) -> Recorded:
    """Run a command in this folder, to its end."""
    require_strace()
    before = Disk.of(root)
    with subprocess.Popen(
        [*tracer(trace), sys.executable, "-m", "server", *arguments],
        cwd=root,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as command:
        output, errors = command.communicate(timeout=DEADLINE_SECONDS)
        assert command.returncode == 0, errors
    calls, told = list[Call](), None
    for call in calls_of(trace, command.pid, root):
        if before.concerns(call):
            calls.append(call)
        elif told is None and call.name == "write" and call.texts[0] and output.startswith(call.texts[0]):
            told = len(calls)
    return Recorded(before, calls, len(calls) if told is None else told)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a store that has a user, and no server."""
    made = tmp_path / "site"
    made.mkdir()
    create = ("users", "create", "--username", "lak", "--role", "customer", "--password-stdin")
    assert in_process.run(made, *create, stdin=PASSWORD).returncode == 0
    return made


def users_at(folder: Path, name: str = "data/watchword.db") -> set[str]:
    """Who is in a store that a server can be started on."""
    assert asyncio.run(start(folder, name)) == ""
    with closing(sqlite3.connect(folder / name)) as connection:
        return {username for (username,) in connection.execute("SELECT username FROM users")}


def try_moments(found: Path, recorded: Recorded, check: Callable[[Path, bool], None]) -> None:
    """Let the power fail at some moments, and when the command has told. `check` gets what is found, and if it has."""
    chance = random.Random(1)
    moments = {chance.randrange(recorded.told) for _ in range(MOMENTS)} | {recorded.told}
    disk = recorded.before
    for number in range(recorded.told + 1):
        for left in Left if number in moments else ():
            found.mkdir()
            disk.leave(left, chance, found)
            check(found, number == recorded.told)
            shutil.rmtree(found)
        if number < recorded.told:
            disk.play(recorded.calls[number])


def test_a_change_of_the_master_key(root: Path, tmp_path: Path, found: Path) -> None:
    """Whenever the power fails, the file has a key that opens the store."""
    before = (root / "data" / "watchword.db.key").read_text()
    recorded = record(root, tmp_path / "trace", "keys", "rewrap")

    def check(at: Path, told: bool) -> None:
        key = (at / "data" / "watchword.db.key").read_text()
        assert users_at(at) == {"lak"}
        if told:
            assert key == (root / "data" / "watchword.db.key").read_text() != before

    try_moments(found, recorded, check)


@pytest.mark.skipif(not IS_FULL, reason="make faults runs it")
def test_a_backup_and_its_restore(root: Path, tmp_path: Path, found: Path) -> None:
    """A copy that has its name is whole, and its key is beside it."""
    backup = record(root, tmp_path / "trace", "store", "backup", "copy.db")

    def check_backup(at: Path, told: bool) -> None:
        assert users_at(at) == {"lak"}
        assert told <= (at / "copy.db").exists()
        if (at / "copy.db").exists():
            assert users_at(at, "copy.db") == {"lak"}

    try_moments(found, backup, check_backup)
    shutil.rmtree(root / "data")
    restore = record(root, tmp_path / "trace-2", "store", "restore", "copy.db")

    def check_restore(at: Path, told: bool) -> None:
        assert told <= (at / "data" / "watchword.db").exists()
        if (at / "data" / "watchword.db").exists():
            assert users_at(at) == {"lak"}

    try_moments(found, restore, check_restore)


@pytest.mark.skipif(not IS_FULL, reason="make faults runs it")
def test_a_move(root: Path, tmp_path: Path, found: Path) -> None:
    """One of the two stores can be used, or `store reopen` lets the old one be used; never both."""
    recorded = record(root, tmp_path / "trace", "store", "move", "--to", "sqlite:///new/store.db")

    def check(at: Path, told: bool) -> None:
        usable = [name for name in ("data/watchword.db", "new/store.db") if _is_usable(at, name)]
        assert len(usable) <= 1
        assert usable == ["new/store.db"] or not told
        if not usable:
            assert in_process.run(at, "store", "reopen", "--yes").returncode == 0
            assert users_at(at) == {"lak"}

    try_moments(found, recorded, check)


def _is_usable(folder: Path, name: str) -> bool:
    if not (folder / name).exists():
        return False
    try:
        return users_at(folder, name) == {"lak"}
    except StoreRefused:
        return False


@pytest.mark.skipif(not IS_FULL, reason="make faults runs it")
@pytest.mark.parametrize(
    "command",
    [("users", "export", "written.jsonl"), ("audit", "export", "written.jsonl")],
)
def test_a_file_that_a_command_writes(root: Path, tmp_path: Path, found: Path, command: tuple[str, ...]) -> None:
    recorded = record(root, tmp_path / "trace", *command)

    def check(at: Path, told: bool) -> None:
        assert told <= (at / "written.jsonl").exists()
        if (at / "written.jsonl").exists():
            assert (at / "written.jsonl").read_bytes() == (root / "written.jsonl").read_bytes()

    try_moments(found, recorded, check)
