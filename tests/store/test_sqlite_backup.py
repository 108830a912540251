from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from server.errors import FileRefused, StoreRefused
from server.store import sqlite_backup, sqlite_file
from server.store.migrations import migrations
from server.store.open import back_up, open_store
from tests.store.examples import id_of, new_user, usernames
from tests.store.other_process import ROOT, command


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
    store = await open_store(f"sqlite:///{copy}", serving=True)
    try:
        return await usernames(store)
    finally:
        await store.close()


async def test_a_copy_is_a_store_of_its_own_for_its_owner_alone(url: str, tmp_path: Path) -> None:
    store = await open_store(url, serving=True)
    await store.insert_user(new_user(1))
    steps: list[tuple[int, int]] = []
    await back_up(url, tmp_path / "copy.db", lambda done, total: steps.append((done, total)))
    await store.insert_user(new_user(2))
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
    store = await open_store(url, serving=True)
    await store.insert_user(new_user(0))
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def pause(done: int, total: int) -> None:
        if done < total:
            loop.call_soon_threadsafe(begun.set)
            go_on.wait(30)

    copying = asyncio.create_task(back_up(url, tmp_path / "copy.db", pause))
    await begun.wait()
    for number in range(1, 300):
        await store.insert_user(new_user(number))
    assert not copying.done()
    go_on.set()
    await copying
    assert await names_in(tmp_path / "copy.db") == {"user0"}
    await store.close()


async def test_what_a_killed_process_left_in_the_log_is_copied(url: str, path: Path, tmp_path: Path) -> None:
    serve_and_kill(url)
    assert sqlite_file.beside(path, "-wal").stat().st_size > 0
    await back_up(url, tmp_path / "copy.db", ignore)
    assert await names_in(tmp_path / "copy.db") == {f"user{number}" for number in range(1000, 1005)}


async def test_a_store_of_an_older_program_is_copied_as_it_is(url: str, path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    sqlite_file.apply(path, migrations("sqlite")[:1])
    await back_up(url, tmp_path / "copy.db", ignore)
    for file in (path, tmp_path / "copy.db"):
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (1,)


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
async def test_what_is_there_is_never_replaced(url: str, tmp_path: Path, kind: str) -> None:
    await (await open_store(url, serving=True)).close()
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
    store = await open_store(url, serving=True)
    await store.insert_user(new_user(1))
    target = tmp_path / "copy.db"
    outcomes = await asyncio.gather(*(back_up(url, target, ignore) for _ in range(2)), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["FileRefused", "NoneType"]
    assert files_in(tmp_path) == {"data", "copy.db"}
    assert await names_in(target) == {"user1"}
    await store.close()


async def test_a_file_system_without_links_will_do(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    store = await open_store(url, serving=True)
    await store.insert_user(new_user(1))
    monkeypatch.setattr(os, "link", no_links)
    await back_up(url, tmp_path / "copy.db", ignore)
    assert await names_in(tmp_path / "copy.db") == {"user1"}
    await store.close()


async def test_a_place_that_cannot_be_written_is_refused(url: str, tmp_path: Path) -> None:
    await (await open_store(url, serving=True)).close()
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
    store = await open_store(url, serving=True)
    for number in range(200):
        await store.insert_user(new_user(number, name="x" * 150))
    await store.close()
    damage_the_end(path)
    with pytest.raises(StoreRefused, match="damaged"):
        await back_up(url, tmp_path / "copy.db", ignore)
    assert files_in(tmp_path) == {"data"}


async def test_a_copy_that_is_given_up_leaves_nothing(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_backup, "_PAGES", 1)
    store = await open_store(url, serving=True)
    await store.insert_user(new_user(1))
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
    await store.insert_user(new_user(2))
    assert await store.get_user(id_of(2)) is not None
    await store.close()


async def test_postgresql_is_left_to_its_own_tool(tmp_path: Path) -> None:
    with pytest.raises(StoreRefused, match="pg_dump"):
        await back_up("postgresql://watchword@localhost/nowhere", tmp_path / "copy.db", ignore)
