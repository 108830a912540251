"""Commands on a disk that is full, or becomes so half way: one line, exit code 1, nothing that is half, and with room
the same command works.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.calling import wait_until
from tests.faults.disks import Disk, disk_in_memory
from tests.in_process import run
from tests.process.server_process import serving
from tests.running import PASSWORD
from tests.volume import IS_FULL

# Enough that nothing that holds them fits into the small sizes below. The hash is that of an empty password.
USERS = 1500
HASH = "$2b$04$" + "abcdefghijklmnopqrstuu" + "5s5z5Q5q5Y5w5E5r5T5y5U5i5O5p5A6"
KILOBYTES = [4, 60, 200] if IS_FULL else [60]

Command = tuple[str, ...]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with disk_in_memory(tmp_path / "disk", 8000) as disk:
        yield disk


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of many users, a file that has as many others, and a backup."""
    folder = tmp_path_factory.mktemp("made")
    for file, first in (("users.jsonl", 0), ("others.jsonl", USERS)):
        rows = ({"username": f"user{first + n}", "role": "customer", "password_hash": HASH} for n in range(USERS))
        (folder / file).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert run(folder, "users", "import", "users.jsonl").returncode == 0
    assert run(folder, "keys", "list").returncode == 0
    assert run(folder, "store", "backup", "backup.db").returncode == 0
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "folder"
    shutil.copytree(made, copy)
    return copy


def _require_one_line(done: subprocess.CompletedProcess[str], lines: int = 1) -> str:
    assert done.returncode == 1, done
    assert done.stderr.count("\n") == lines, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


# What is made on the disk by which command. {} is its folder.
MAKING: dict[str, Command] = {
    "copy.db": ("store", "backup", "{}/copy.db"),
    "users.jsonl": ("users", "export", "{}/users.jsonl"),
    "users.csv": ("users", "export", "{}/users.csv"),
    "moved.db": ("store", "move", "--to", "sqlite:///{}/moved.db"),
}


@pytest.mark.parametrize("kilobytes", KILOBYTES)
@pytest.mark.parametrize("name", MAKING if IS_FULL else ["copy.db"])
def test_what_does_not_fit_is_not_there(folder: Path, disk: Disk, name: str, kilobytes: int) -> None:
    command = [part.format(disk.folder) for part in MAKING[name]]
    disk.resize(kilobytes)
    said = _require_one_line(run(folder, *command))
    assert "full" in said or "No space left" in said
    assert list(disk.folder.iterdir()) == []
    # The store itself has room, and goes on.
    assert run(folder, "users", "disable", "user7").returncode == 0
    disk.resize(8000)
    assert run(folder, *command).returncode == 0
    assert (disk.folder / name).exists()


def test_an_export_of_the_audit_log_that_does_not_fit_is_not_there(folder: Path, disk: Disk) -> None:
    for _ in range(5):
        for command in ("disable", "enable"):
            assert run(folder, "users", command, "user7").returncode == 0
    disk.resize(4)
    assert "No space left" in _require_one_line(run(folder, "audit", "export", f"{disk.folder}/audit.jsonl"))
    assert list(disk.folder.iterdir()) == []


@pytest.mark.parametrize("kilobytes", KILOBYTES)
def test_a_restore_that_does_not_fit_leaves_nothing_and_works_with_room(
    folder: Path, disk: Disk, kilobytes: int
) -> None:
    disk.resize(kilobytes)
    settings = {"WATCHWORD__STORE__URL": disk.url}
    said = _require_one_line(run(folder, "store", "restore", "backup.db", **settings))
    assert "No space left" in said or "full" in said
    assert not any(file.name in {"watchword.db", "watchword.db.key"} for file in disk.folder.iterdir())
    disk.resize(8000)
    assert run(folder, "store", "restore", "backup.db", **settings).returncode == 0
    assert run(folder, "audit", "verify", **settings).returncode == 0


def test_an_import_that_stops_goes_on_where_it_was(folder: Path, disk: Disk) -> None:
    settings = {"WATCHWORD__STORE__URL": disk.url}
    assert run(folder, "store", "restore", "backup.db", **settings).returncode == 0
    imported = 0
    for kilobytes in (40, 300, 700) if IS_FULL else (300,):
        disk.fill(kilobytes * 1024)
        said = _require_one_line(run(folder, "users", "import", "others.jsonl", **settings), lines=2)
        assert "run it again to go on" in said
        disk.free()
        there = _count_users(folder, settings)
        assert there >= imported
        imported = there
    assert imported < 2 * USERS
    again = run(folder, "users", "import", "others.jsonl", **settings)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == f"imported {2 * USERS - imported}, already there {imported - USERS}, refused 0\n"
    assert _count_users(folder, settings) == 2 * USERS
    assert run(folder, "audit", "verify", **settings).returncode == 0


def _count_users(folder: Path, settings: dict[str, str]) -> int:
    exported = run(folder, "users", "export", **settings)
    assert exported.returncode == 0, exported.stderr
    return len(exported.stdout.splitlines())


CHANGING: dict[str, Command] = {
    "create": ("users", "create", "--username", "somebody", "--role", "admin", "--password-stdin"),
    "disable": ("users", "disable", "user3"),
    "delete": ("users", "delete", "user4", "--yes"),
    "reset-password": ("users", "reset-password", "user5"),
    "rotate": ("keys", "rotate"),
    "rewrap": ("keys", "rewrap"),
    "replace": ("keys", "replace", "--yes"),
    "invite": ("users", "invite"),
    "migrate": ("migrate",),
}


@pytest.mark.parametrize("kept_bytes", [0, 8192, 40_960] if IS_FULL else [8192])
@pytest.mark.parametrize("name", CHANGING if IS_FULL else ["rewrap"])
def test_a_change_is_whole_or_not_there(folder: Path, disk: Disk, name: str, kept_bytes: int) -> None:
    settings = {"WATCHWORD__STORE__URL": disk.url, "WATCHWORD__REGISTRATION__MODE": "invitation"}
    assert run(folder, "store", "restore", "backup.db", **settings).returncode == 0
    disk.fill(kept_bytes)
    done = run(folder, *CHANGING[name], stdin=PASSWORD, **settings)
    if done.returncode != 0:
        said = _require_one_line(done)
        assert "full" in said.lower() or "No space left" in said
    disk.free()
    left = {file.name for file in disk.folder.iterdir()}
    assert not any("unfinished" in name or name.endswith(".new") for name in left), left
    if done.returncode != 0 or name in {"rotate", "migrate"}:
        again = run(folder, *CHANGING[name], stdin=PASSWORD, **settings)
        assert again.returncode == 0 or (name == "rotate" and done.returncode == 0), again.stderr
    # The master key fits the store, and no record is missing.
    verified = run(folder, "audit", "verify", **settings)
    assert verified.returncode == 0, verified.stderr
    assert run(folder, "doctor", **settings).returncode == 0


@pytest.mark.skipif(not IS_FULL, reason="takes some seconds: make faults")
def test_a_log_and_mails_on_a_full_disk_hold_up_nothing(tmp_path: Path, disk: Disk) -> None:
    log, mails = disk.folder / "server.log", disk.folder / "mails"
    settings = {
        "WATCHWORD__MAIL__URL": f"file://{mails}",
        "WATCHWORD__MAIL__FROM": "auth@example.com",
        "WATCHWORD__SERVER__PUBLIC_URL": "http://127.0.0.1:8080",
    }
    with serving(tmp_path, log_to=log, module="server", **settings) as server:
        token = server.log_in("admin", server.admin_password())["token"]
        user = {"username": "lak", "name": "Lak", "role": "customer", "password": PASSWORD, "email": "lak@example.com"}
        assert server.call("POST", "/users", user, token)[0] == 201
        disk.fill()
        for _ in range(200):
            assert server.call("GET", "/verify", token=token)[0] == 204
        assert server.call("POST", "/password/forgot", {"identifier": "lak"})[0] == 202
        _wait_until_tried(server, token)
        before = list(mails.iterdir()) if mails.exists() else []
        assert not any(file.suffix == ".eml" and file.stat().st_size == 0 for file in before)
        disk.free()
        wait_until(lambda: mails.exists() and any(file.suffix == ".eml" for file in mails.iterdir()))
        assert server.call("GET", "/health/ready")[0] == 200
        assert server.stop() == 0
    text = log.read_text("utf-8")
    assert "Traceback" not in text
    assert "log lines were dropped" in text
    assert [file.suffix for file in mails.iterdir()] == [".eml"] * len(os.listdir(mails))  # noqa: PTH208


def _wait_until_tried(server: object, token: str) -> None:
    def was_tried() -> bool:
        mails = server.call("GET", "/mails", token=token)[1]["mails"]  # type: ignore[attr-defined]
        return bool(mails)

    wait_until(was_tried)
