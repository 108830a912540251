"""What may stand where a store is looked for: it is refused in a line, or it is whole."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from server.core.errors import StoreRefused
from server.database.open import apply_migrations, back_up, pending_migrations, sqlite_path
from server.database.sqlite.contents import beside
from server.database.sqlite.file import inspect
from server.database.sqlite.length import missing_pages
from server.repositories import open_repositories
from tests.database.other_process import ROOT, command
from tests.records import usernames


def bind(path: Path) -> None:
    """A socket, whose path must not be as long as those of tests are."""
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)
    finally:
        os.chdir(before)


# What is made in the place of the file, and what is said about it.
SHAPES: dict[str, tuple[Callable[[Path], object], str]] = {
    "folder": (Path.mkdir, "is a folder, no file"),
    "pipe": (os.mkfifo, "is a pipe, a socket or a device"),
    "socket": (bind, "is a pipe, a socket or a device"),
    "device": (lambda path: path.symlink_to("/dev/full"), "is a pipe, a socket or a device"),
    "circle": (lambda path: path.symlink_to(path), "leads to no file"),
    "link to what is gone": (lambda path: path.symlink_to("gone/watchword.db"), "is a link into .*/gone, which is not"),
    "draft as a folder": (lambda path: beside(path, ".new").mkdir(), r"watchword\.db\.new can't be used \(Is a direc"),
    "lock as a pipe": (lambda path: os.mkfifo(beside(path, ".write-lock")), "write-lock is no file; remove it"),
    "lock as a link": (lambda path: beside(path, ".write-lock").symlink_to("gone"), "write-lock can't be used"),
}


@pytest.mark.parametrize(("make", "message"), SHAPES.values(), ids=SHAPES)
async def test_what_is_no_file_is_refused_in_a_line(
    url: str, path: Path, make: Callable[[Path], object], message: str
) -> None:
    path.parent.mkdir()
    make(path)
    for refused in (open_repositories(url, serving=True), open_repositories(url, serving=False), apply_migrations(url)):
        async with asyncio.timeout(30):
            with pytest.raises(StoreRefused, match=message) as caught:
                await refused
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("make", "message"), list(SHAPES.values())[:6], ids=list(SHAPES)[:6])
async def test_neither_a_look_nor_a_copy_waits_for_what_is_no_file(
    url: str, path: Path, tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    path.parent.mkdir()
    make(path)
    with pytest.raises(StoreRefused, match=message):
        await pending_migrations(url)
    with pytest.raises(StoreRefused, match=message):
        await back_up(url, tmp_path / "copy.db", lambda *_: None)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["x" * 300, "x" * 250, "/".join(["y" * 200] * 30)])
async def test_a_name_that_is_too_long_is_refused_in_a_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreRefused, match="File name too long"):
        await open_repositories(f"sqlite:///{tmp_path}/{name}", serving=True)


def test_a_link_through_a_folder_that_is_gone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(tmp_path / "volume" / "data")
    with pytest.raises(StoreRefused, match=r"data is a link into .*volume/data, which is not there"):
        sqlite_path(f"sqlite:///{tmp_path}/data/watchword.db")
    (tmp_path / "volume" / "data").mkdir(parents=True)
    assert sqlite_path(f"sqlite:///{tmp_path}/data/watchword.db") == tmp_path / "volume" / "data" / "watchword.db"


def _read(path: Path) -> bytes:
    return path.read_bytes()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def is_refused(path: Path) -> bool:
    """By whoever opens it, also by a command, which does not read every page."""
    try:
        inspect(path, thorough=False)
    except StoreRefused:
        return True
    return False


async def test_no_shortened_file_is_taken_wherever_it_ends(url: str, path: Path) -> None:
    await (await open_repositories(url, serving=True)).close()
    content = _read(path)
    assert not is_refused(path)
    last_page = range(len(content) - 4095, len(content), 273)
    for size in (*range(0, len(content), 4096), *range(1, 4096, 371), *last_page):
        _write(path, content[:size])
        assert is_refused(path), size
    # A file may be longer than it says: SQLite makes it so for what it is about to write.
    _write(path, content + bytes(4096))
    assert not is_refused(path)


def kill_while_serving(url: str, users: int) -> None:
    """A server that has written, and leaves its log."""
    with subprocess.Popen(
        command("serve", url, users), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as serving:
        assert serving.stdout is not None
        assert [serving.stdout.readline() for _ in range(2)] == ["open\n", "written\n"]
        serving.send_signal(signal.SIGKILL)


async def test_with_a_log_a_shortened_file_is_taken_if_the_log_has_all_that_it_lacks(
    url: str, path: Path, tmp_path: Path
) -> None:
    await asyncio.to_thread(kill_while_serving, url, 60)
    content, log = _read(path), _read(beside(path, "-wal"))
    # More pages than are in the file: the last 4 bytes of the first 8 of a frame that ends a commit say how many.
    frames = [log[start : start + 8] for start in range(32, len(log), 24 + 4096)]
    assert int.from_bytes(frames[-1][4:]) > len(content) // 4096
    taken = []
    for cut in (0, 1, 4095, 4096, 5 * 4096, 20 * 4096, len(content) // 2, len(content) - 4096):
        copy = tmp_path / f"cut{cut}" / "watchword.db"
        _write(copy, content[: len(content) - cut])
        _write(beside(copy, "-wal"), log)
        taken.append(not is_refused(copy))
        if taken[-1]:
            store = await open_repositories(f"sqlite:///{copy}", serving=True)
            assert len(await usernames(store)) == 60
            await store.close()
    # Nothing is taken that lacks a page, and nothing is refused that the log can mend.
    assert set(taken) == {True, False}


async def test_a_log_that_says_nothing_or_belongs_to_another_file_mends_nothing(url: str, path: Path) -> None:
    await asyncio.to_thread(kill_while_serving, url, 20)
    content, log = _read(path), _read(beside(path, "-wal"))
    assert missing_pages(path, beside(path, "-wal")) == 0
    _write(path, content[:-4096])
    for other in (b"", log[:31], log[:40], log[:32] + bytes(len(log) - 32), b"x" * 5000):
        _write(beside(path, "-wal"), other)
        assert missing_pages(path, beside(path, "-wal")) > 0
