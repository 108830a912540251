"""Several processes on one SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from server.errors import StoreRefused, StoreUnavailable
from server.store import file_lock, group_writer
from server.store.file_lock import FileLock
from server.store.open import open_store
from tests.store.examples import new_user, usernames
from tests.store.other_process import ROOT, command


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
    store = await open_store(url, serving=True)
    with pytest.raises(StoreRefused, match="already served by another process"):
        await open_store(url, serving=True)
    await store.insert_user(new_user(1))
    await store.close()
    await (await open_store(url, serving=True)).close()


async def test_a_second_server_is_refused_from_another_process_until_the_first_is_killed(url: str) -> None:
    with _other("serve", url) as serving:
        _says(serving, "open")
        with pytest.raises(StoreRefused, match="already served by another process"):
            await open_store(url, serving=True)
        beside = await open_store(url, serving=False)
        await beside.insert_user(new_user(1))
        await beside.close()
        serving.kill()
        serving.wait()
        store = await open_store(url, serving=True)
        assert await usernames(store) == {"user1"}
        await store.close()


async def test_two_processes_write_at_once(url: str, path: Path) -> None:
    store = await open_store(url, serving=True)
    with _other("write", url, 200) as beside:
        _says(beside, "open")
        for number in range(200):
            await store.insert_user(new_user(number))
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
    store = await open_store(url, serving=True)
    assert await usernames(store) == {f"user{number}" for number in range(1000, 1005)}
    await store.close()


async def test_a_write_gives_up_on_a_lock_that_is_never_free(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await open_store(url, serving=True)
    lock = FileLock(Path(url.removeprefix("sqlite:///") + ".write-lock"))
    assert lock.try_acquire()
    with monkeypatch.context() as patched:
        patched.setattr(file_lock, "WAIT_SECONDS", 0.0)
        patched.setattr(group_writer, "BEGIN_SECONDS", 0.05)
        with pytest.raises(StoreUnavailable):
            await store.insert_user(new_user(1))
        with pytest.raises(StoreUnavailable):
            await open_store(url, serving=False)
    await store.ping()
    lock.release()
    await store.insert_user(new_user(2))
    assert await usernames(store) == {"user2"}
    lock.close()
    lock.close()
    await store.close()


async def test_many_may_open_a_new_store_at_once(url: str) -> None:
    stores = await asyncio.gather(*(open_store(url, serving=False) for _ in range(5)), open_store(url, serving=True))
    outcomes = await asyncio.gather(*(store.insert_first_user(new_user(n)) for n, store in enumerate(stores)))
    assert outcomes.count(True) == 1
    for store in stores:
        await store.close()


async def test_files_are_for_their_owner_alone(url: str, path: Path) -> None:
    store = await open_store(url, serving=True)
    await store.insert_user(new_user(1))
    names = {file.name.removeprefix(path.name) for file in path.parent.iterdir()}
    locks = {".write-lock", ".write-lock.turn", ".serve-lock"}
    assert names == {"", "-wal", "-shm", *locks}
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700
    await store.close()
    # The last one to close leaves everything in the one file.
    assert {file.name.removeprefix(path.name) for file in path.parent.iterdir()} == {"", *locks}
