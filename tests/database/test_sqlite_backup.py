from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from server.core.errors import FileRefused, StoreRefused
from server.database.migration_files import migrations
from server.database.open import back_up
from server.database.sqlite import backup as sqlite_backup
from server.database.sqlite import migrate as sqlite_migrate
from server.database.sqlite.contents import beside
from server.files import drafts
from server.repositories import open_repositories
from tests.database.other_process import ROOT, command
from tests.records import add_user, id_of, new_user, usernames

KEY = b"a master key for tests, of enough characters\n"


def ignore(done: int, total: int) -> None:
    """Of no interest."""


def files_in(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def damage_the_end(path: Path) -> None:
    """Behind the pages that are read when the store is opened."""
    content = path.read_bytes()
    path.write_bytes(content[: -3 * 4096] + bytes(3 * 4096))


def serve_and_kill(url: str) -> None:
    """A server that has written five users, and is gone before it could tidy up."""
    with subprocess.Popen(
        command("serve", url, 5), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as serving:
        assert serving.stdout is not None
        assert [serving.stdout.readline() for _ in range(2)] == ["open\n", "written\n"]
        serving.kill()


async def names_in(copy: Path) -> set[str]:
    store = await open_repositories(f"sqlite:///{copy}", serving=True)
    try:
        return await usernames(store)
    finally:
        await store.close()


async def test_a_copy_is_a_store_of_its_own_for_its_owner_alone(url: str, tmp_path: Path) -> None:
    store = await open_repositories(url, serving=True)
    await add_user(store, new_user(1))
    steps: list[tuple[int, int]] = []
    await back_up(url, tmp_path / "copy.db", lambda done, total: steps.append((done, total)))
    await add_user(store, new_user(2))
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    assert files_in(tmp_path) == {"data", "copy.db"}
    assert steps[-1][0] == steps[-1][1] > 0
    assert await names_in(tmp_path / "copy.db") == {"user1"}
    assert await usernames(store) == {"user1", "user2"}
    await store.close()


async def test_writers_go_on_and_the_copy_is_of_one_moment(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_backup, "_PAGES", 1)
    store = await open_repositories(url, serving=True)
    await add_user(store, new_user(0))
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def pause(done: int, total: int) -> None:
        if done < total:
            loop.call_soon_threadsafe(begun.set)
            go_on.wait(30)

    copying = asyncio.create_task(back_up(url, tmp_path / "copy.db", pause))
    await begun.wait()
    for number in range(1, 300):
        await add_user(store, new_user(number))
    assert not copying.done()
    go_on.set()
    await copying
    assert await names_in(tmp_path / "copy.db") == {"user0"}
    await store.close()


async def test_what_a_killed_process_left_in_the_log_is_copied(url: str, path: Path, tmp_path: Path) -> None:
    serve_and_kill(url)
    assert beside(path, "-wal").stat().st_size > 0
    await back_up(url, tmp_path / "copy.db", ignore)
    assert await names_in(tmp_path / "copy.db") == {f"user{number}" for number in range(1000, 1005)}


async def test_a_store_of_an_older_program_is_copied_as_it_is(url: str, path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    sqlite_migrate.apply(path, migrations("sqlite")[:1])
    await back_up(url, tmp_path / "copy.db", ignore)
    for file in (path, tmp_path / "copy.db"):
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (1,)


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
async def test_what_is_there_is_never_replaced(url: str, tmp_path: Path, kind: str) -> None:
    await (await open_repositories(url, serving=True)).close()
    target = tmp_path / "copy.db"
    make: dict[str, Callable[[], object]] = {
        "file": lambda: target.write_text("mine"),
        "folder": target.mkdir,
        "dangling link": lambda: target.symlink_to(tmp_path / "nothing"),
    }
    make[kind]()
    with pytest.raises(FileRefused, match="is there already"):
        await back_up(url, target, ignore)
    assert files_in(tmp_path) == {"data", "copy.db"}
    assert kind != "file" or target.read_text() == "mine"


async def test_of_two_copies_to_one_name_one_is_refused(url: str, tmp_path: Path) -> None:
    store = await open_repositories(url, serving=True)
    await add_user(store, new_user(1))
    target = tmp_path / "copy.db"
    outcomes = await asyncio.gather(*(back_up(url, target, ignore) for _ in range(2)), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["FileRefused", "NoneType"]
    assert files_in(tmp_path) == {"data", "copy.db"}
    assert await names_in(target) == {"user1"}
    await store.close()


async def test_a_file_system_without_links_will_do(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    store = await open_repositories(url, serving=True)
    await add_user(store, new_user(1))
    monkeypatch.setattr(os, "link", no_links)
    await back_up(url, tmp_path / "copy.db", ignore)
    assert await names_in(tmp_path / "copy.db") == {"user1"}
    await store.close()


async def test_a_place_that_cannot_be_written_is_refused(url: str, tmp_path: Path) -> None:
    await (await open_repositories(url, serving=True)).close()
    with pytest.raises(FileRefused, match="No such file or directory"):
        await back_up(url, tmp_path / "nowhere" / "copy.db", ignore)


async def test_of_what_is_no_store_no_copy_is_made(url: str, path: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreRefused, match="there is no store"):
        await back_up(url, tmp_path / "copy.db", ignore)
    for content in (b"", b"this is no database, but a text that is long enough" * 100):
        write(path, content)
        with pytest.raises(StoreRefused):
            await back_up(url, tmp_path / "copy.db", ignore)
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE mine (x)")
    with pytest.raises(StoreRefused, match="another program"):
        await back_up(f"sqlite:///{tmp_path}/other.db", tmp_path / "copy.db", ignore)
    assert not any(name.startswith("copy.db") for name in files_in(tmp_path))


async def test_a_damaged_store_makes_no_copy_that_looks_whole(url: str, path: Path, tmp_path: Path) -> None:
    store = await open_repositories(url, serving=True)
    for number in range(200):
        await add_user(store, new_user(number, name="x" * 150))
    await store.close()
    damage_the_end(path)
    with pytest.raises(StoreRefused, match="damaged"):
        await back_up(url, tmp_path / "copy.db", ignore)
    assert files_in(tmp_path) == {"data"}


async def test_a_copy_that_is_given_up_leaves_nothing(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_backup, "_PAGES", 1)
    store = await open_repositories(url, serving=True)
    await add_user(store, new_user(1))
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    steps = 0

    def pause(*_: int) -> None:
        nonlocal steps
        steps += 1
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(30)

    copying = asyncio.create_task(back_up(url, tmp_path / "copy.db", pause))
    await begun.wait()
    copying.cancel()
    loop.call_later(0.05, go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await copying
    assert steps == 1
    assert files_in(tmp_path) == {"data"}
    await add_user(store, new_user(2))
    assert await store.users.get_user(id_of(2)) is not None
    await store.close()


@pytest.fixture
async def stored(url: str) -> None:
    """A store with a user."""
    store = await open_repositories(url, serving=True)
    await add_user(store, new_user(1))
    await store.close()


@pytest.mark.usefixtures("stored")
def test_wherever_a_backup_is_killed_what_has_a_name_is_whole_and_the_same_command_works(
    url: str, tmp_path: Path
) -> None:
    (tmp_path / "backups").mkdir()
    command = [
        sys.executable,
        "-m",
        "tests.database.killed_backup",
        url,
        str(tmp_path / "backups" / "copy.db"),
        KEY.decode(),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert re.fullmatch(r"killed [3-9]\d, then exit code 0\n", done.stdout), done.stdout + done.stderr


@pytest.mark.usefixtures("stored")
async def test_a_folder_that_vanishes_meanwhile_is_told_and_the_same_command_works(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_backup, "_PAGES", 1)
    target = tmp_path / "backups" / "copy.db"
    target.parent.mkdir()
    with pytest.raises(FileRefused, match="can't be"):
        await back_up(url, target, lambda *_: shutil.rmtree(target.parent, ignore_errors=True), KEY)
    assert not target.parent.exists()
    target.parent.mkdir()
    await back_up(url, target, ignore, KEY)
    assert files_in(target.parent) == {"copy.db", "copy.db.key"}


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("fails", ["copy.db.key", "copy.db"])
async def test_a_name_that_can_not_be_given_leaves_neither_copy_nor_key(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    give_name = drafts.give_name

    def full(draft: Path, target: Path) -> None:
        if target.name == fails:
            raise OSError(errno.ENOSPC, "No space left on device")
        give_name(draft, target)

    with monkeypatch.context() as patched:
        patched.setattr(drafts, "give_name", full)
        with pytest.raises(FileRefused, match=f"{fails} can't be made .No space left"):
            await back_up(url, tmp_path / "copy.db", ignore, KEY)
    assert files_in(tmp_path) == {"data"}
    await back_up(url, tmp_path / "copy.db", ignore, KEY)
    assert (tmp_path / "copy.db.key").read_bytes() == KEY


@pytest.mark.usefixtures("stored")
async def test_the_same_key_that_is_there_already_is_taken_and_no_other(url: str, tmp_path: Path) -> None:
    key = tmp_path / "copy.db.key"
    for content, mode in ((KEY[:-1], 0o600), (b"", 0o600), (KEY, 0o644)):
        _write_key(key, content, mode)
        with pytest.raises(FileRefused, match=r"copy\.db\.key is there already"):
            await back_up(url, tmp_path / "copy.db", ignore, KEY)
        assert (files_in(tmp_path), key.read_bytes()) == ({"data", "copy.db.key"}, content)
    _write_key(key, KEY, 0o600)
    await back_up(url, tmp_path / "copy.db", ignore, KEY)
    assert (files_in(tmp_path), key.read_bytes()) == ({"data", "copy.db", "copy.db.key"}, KEY)


def _write_key(path: Path, content: bytes, mode: int) -> None:
    path.write_bytes(content)
    path.chmod(mode)


@pytest.mark.usefixtures("stored")
async def test_what_others_keep_under_such_a_name_stays(url: str, tmp_path: Path) -> None:
    mine = tmp_path / "copy.db.unfinished-notes"
    mine.mkdir()
    (mine / "text").write_text("mine")
    (tmp_path / "copy.db.unfinished-link").symlink_to(mine)
    await back_up(url, tmp_path / "copy.db", ignore, KEY)
    assert (mine / "text").read_text() == "mine"
    assert (tmp_path / "copy.db.unfinished-link").is_symlink()


async def test_postgresql_is_left_to_its_own_tool(tmp_path: Path) -> None:
    with pytest.raises(StoreRefused, match="pg_dump"):
        await back_up("postgresql://watchword@localhost/nowhere", tmp_path / "copy.db", ignore)
