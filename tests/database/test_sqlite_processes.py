"""Several processes on one SQLite file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from server.core.errors import StoreRefused, StoreUnavailable
from server.database.open import pending_migrations
from server.database.sqlite import serving, waiting_unit
from server.database.sqlite.contents import beside
from server.files import file_lock
from server.files.file_lock import FileLock
from server.repositories import open_repositories
from tests.database.other_process import ROOT, command
from tests.records import add_first_user, add_user, new_user, usernames


@contextmanager
def _other(action: str, url: str, count: int = 0) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command(action, url, count), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _says(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == f"{line}\n"


async def test_a_second_server_is_refused_in_this_process(url: str) -> None:
    store = await open_repositories(url, serving=True)
    with pytest.raises(StoreRefused, match="already served by another process"):
        await open_repositories(url, serving=True)
    await add_user(store, new_user(1))
    await store.close()
    await (await open_repositories(url, serving=True)).close()


async def test_a_server_waits_until_the_system_has_ended_the_last_one(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `kill -9` its workers have the lock for a moment more."""
    with _other("serve", url) as last:
        _says(last, "open")

        async def pause(_: float) -> None:
            last.kill()
            last.wait()

        monkeypatch.setattr(asyncio, "sleep", pause)
        await (await open_repositories(url, serving=True)).close()
        assert last.poll() is not None


async def test_a_second_server_is_refused_from_another_process_until_the_first_is_killed(url: str) -> None:
    with _other("serve", url) as first:
        _says(first, "open")
        with pytest.raises(StoreRefused, match="already served by another process"):
            await open_repositories(url, serving=True)
        beside = await open_repositories(url, serving=False)
        await add_user(beside, new_user(1))
        await beside.close()
        first.kill()
        first.wait()
        store = await open_repositories(url, serving=True)
        assert await usernames(store) == {"user1"}
        await store.close()


async def test_two_processes_write_at_once(url: str, path: Path) -> None:
    store = await open_repositories(url, serving=True)
    with _other("write", url, 200) as beside:
        _says(beside, "open")
        for number in range(200):
            await add_user(store, new_user(number))
        assert await asyncio.to_thread(beside.wait) == 0
    assert await usernames(store) == {f"user{n}" for n in (*range(200), *range(1000, 1200))}
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_an_acknowledged_write_survives_kill_9(url: str) -> None:
    with _other("serve", url, 5) as serving:
        _says(serving, "open")
        _says(serving, "written")
        serving.kill()
        serving.wait()
    store = await open_repositories(url, serving=True)
    assert await usernames(store) == {f"user{number}" for number in range(1000, 1005)}
    await store.close()


async def test_a_write_gives_up_on_a_lock_that_is_never_free(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await open_repositories(url, serving=True)
    lock = FileLock(Path(url.removeprefix("sqlite:///") + ".write-lock"))
    assert lock.try_acquire()
    with monkeypatch.context() as patched:
        patched.setattr(file_lock, "WAIT_SECONDS", 0.0)
        patched.setattr(waiting_unit, "BEGIN_SECONDS", 0.05)
        with pytest.raises(StoreUnavailable):
            await add_user(store, new_user(1))
        with pytest.raises(StoreUnavailable):
            await open_repositories(url, serving=False)
    assert await usernames(store) == set()
    lock.release()
    await add_user(store, new_user(2))
    assert await usernames(store) == {"user2"}
    lock.close()
    lock.close()
    await store.close()


async def test_many_may_open_a_new_store_at_once(url: str) -> None:
    stores = await asyncio.gather(
        *(open_repositories(url, serving=False) for _ in range(5)), open_repositories(url, serving=True)
    )
    outcomes = await asyncio.gather(*(add_first_user(store, new_user(n)) for n, store in enumerate(stores)))
    assert outcomes.count(True) == 1
    for store in stores:
        await store.close()


async def test_files_are_for_their_owner_alone(url: str, path: Path) -> None:
    store = await open_repositories(url, serving=True)
    await add_user(store, new_user(1))
    names = {file.name.removeprefix(path.name) for file in path.parent.iterdir()}
    locks = {".write-lock", ".write-lock.turn", ".serve-lock"}
    assert names == {"", "-wal", "-shm", *locks}
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700
    await store.close()
    # The last one to close leaves everything in the one file.
    assert {file.name.removeprefix(path.name) for file in path.parent.iterdir()} == {"", *locks}


def _other_names(path: Path) -> dict[str, Path]:
    """Names that lead to the same place, whichever way."""
    path.with_name("link.db").symlink_to(path)
    (path.parent.parent / "folder").symlink_to(path.parent)
    (path.parent.parent / "links").mkdir()
    (path.parent.parent / "links" / "link.db").symlink_to("../folder/link.db")
    return {
        "link": path.with_name("link.db"),
        "link to a link": path.parent.parent / "links" / "link.db",
        "folder": path.parent.parent / "folder" / path.name,
        "dots": path.parent / ".." / path.parent.name / "." / path.name,
        "relative": Path(os.path.relpath(path)),
    }


async def test_one_file_has_one_server_whatever_it_is_called(
    url: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "FREED_SECONDS", 0)
    with _other("serve", url, 3) as other:
        _says(other, "open")
        _says(other, "written")
        descriptor = os.open(path, os.O_RDONLY)
        names = {**_other_names(path), "descriptor": Path(f"/proc/self/fd/{descriptor}")}
        for name in names.values():
            with pytest.raises(StoreRefused, match="already served by another process"):
                await open_repositories(f"sqlite:///{name}", serving=True)
        for number, name in enumerate(names.values()):
            command_beside = await open_repositories(f"sqlite:///{name}", serving=False)
            await add_user(command_beside, new_user(number))
            assert len(await usernames(command_beside)) == 4 + number
            await command_beside.close()
        os.close(descriptor)
        assert {file.name.removeprefix(path.name) for file in path.parent.iterdir() if not file.is_symlink()} == {
            *("", "-wal", "-shm", ".write-lock", ".write-lock.turn", ".serve-lock")
        }


@pytest.mark.parametrize("way", ["hard link", "rename"])
async def test_a_file_has_one_log_so_it_is_refused_under_another_name(url: str, path: Path, way: str) -> None:
    other = path.with_name("other.db")
    with _other("serve", url, 3) as serving:
        _says(serving, "open")
        _says(serving, "written")
        (os.link if way == "hard link" else os.rename)(path, other)
        message = "a hard link" if way == "hard link" else "is open under another name"
        for serve in (True, False):
            with pytest.raises(StoreRefused, match=message):
                await open_repositories(f"sqlite:///{other}", serving=serve)
        with pytest.raises(StoreRefused, match=message):
            await pending_migrations(f"sqlite:///{other}")
        if way == "hard link":
            command_beside = await open_repositories(url, serving=False)
            assert len(await usernames(command_beside)) == 3
            await command_beside.close()


async def test_a_link_to_no_file_yet_leads_to_where_the_store_is_made(url: str, path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path)
    path.parent.mkdir()
    store = await open_repositories(f"sqlite:///{link}", serving=True)
    await add_user(store, new_user(1))
    await store.close()
    assert link.is_symlink()
    assert not beside(link, ".serve-lock").exists()
    store = await open_repositories(url, serving=True)
    assert await usernames(store) == {"user1"}
    await store.close()


async def test_a_link_in_a_circle_is_refused(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(link)
    with pytest.raises(StoreRefused, match="leads to no file"):
        await open_repositories(f"sqlite:///{link}", serving=True)
