"""A disk that is too small for what is made on it: what has its name is whole, and with room the same works."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from server.app import open_services
from server.core.errors import FileRefused, StoreRefused, WatchwordError
from server.database.migration_files import migrations
from server.database.open import back_up
from server.files.new_file import new_file
from server.keys.master_key_file import master_key_file
from server.repositories import open_repositories
from server.settings.tree import KeySettings
from tests.needed import require
from tests.records import add_user, new_user
from tests.running import PASSWORD, log_in, settings_with

Resize = Callable[[int], None]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Resize]]:
    """A file system in memory, and what sets its size in KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(folder)]
    done = subprocess.run(mount, check=False, capture_output=True)
    require({"the right to mount a small file system": done.returncode == 0})

    def resize(kilobytes: int) -> None:
        subprocess.run(["/bin/mount", "-o", f"remount,size={kilobytes}k", str(folder)], check=True)

    with ExitStack() as stack:
        stack.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=True)
        yield folder, resize


def is_whole(path: Path) -> bool:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        found = connection.execute("SELECT count(*) FROM schema_migrations").fetchone()[0]
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)] and found == len(
            migrations("sqlite")
        )


async def first_start(url: str) -> bool:
    """Whether there was nobody. Raises WatchwordError."""
    async with open_services(settings_with(url, keys=KeySettings()), serving=True) as services:
        made = await services.users.create_first("sahan", "Sahan", "admin", PASSWORD)
        await log_in(services, "sahan", PASSWORD)
        return made


@pytest.mark.parametrize("kilobytes", [8, 40, 120, 200, 240, 260, 280, 300, 320, 340, 380, 420])
async def test_a_first_start_leaves_nothing_that_is_half(disk: tuple[Path, Resize], kilobytes: int) -> None:
    folder, resize = disk
    resize(kilobytes)
    path = folder / "watchword.db"
    url = f"sqlite:///{path}"
    with suppress(WatchwordError):
        await first_start(url)
    # To read it needs room too, for the index of its log.
    resize(4000)
    assert not path.exists() or is_whole(path)
    assert not path.with_name("watchword.db.new").exists()
    await first_start(url)


async def test_a_server_does_not_start_on_a_disk_that_is_full(disk: tuple[Path, Resize]) -> None:
    folder, resize = disk
    resize(2000)
    url = f"sqlite:///{folder}/watchword.db"
    await first_start(url)
    for kept in (0, 8, 16):
        fill(folder, kept)
    with pytest.raises(StoreRefused, match="the disk is full; make room"):
        await open_repositories(url, serving=True)
    (folder / "filler").unlink()
    assert not await first_start(url)


def fill(folder: Path, kept_kilobytes: int = 0) -> None:
    """Leave no more room than this."""
    disk = os.statvfs(folder)
    (folder / "filler").unlink(missing_ok=True)
    (folder / "filler").write_bytes(bytes(os.statvfs(folder).f_bavail * disk.f_frsize - kept_kilobytes * 1024))


async def test_a_master_key_that_can_not_be_changed_stays(disk: tuple[Path, Resize]) -> None:
    folder, resize = disk
    resize(2000)
    url = f"sqlite:///{folder}/watchword.db"
    await first_start(url)
    key = (folder / "watchword.db.key").read_bytes()
    async with open_services(settings_with(url, keys=KeySettings()), serving=False) as services:
        fill(folder)
        file = master_key_file(services.settings, services.ids)
        assert file is not None
        with pytest.raises(StoreRefused, match=r"watchword\.db\.key can't be written .No space left"), file.changing():
            pass
    assert (folder / "watchword.db.key").read_bytes() == key
    (folder / "filler").unlink()
    assert not await first_start(url)


async def test_a_copy_or_an_export_that_does_not_fit_leaves_nothing(url: str, disk: tuple[Path, Resize]) -> None:
    store = await open_repositories(url, serving=True)
    await add_user(store, new_user(1))
    folder, resize = disk
    for kilobytes in (8, 60, 120):
        resize(kilobytes)
        with pytest.raises(FileRefused, match=r"full|No space left"):
            await back_up(url, folder / "copy.db", lambda *_: None, b"a key of enough characters, 32")
        assert list(folder.iterdir()) == []
        with pytest.raises(FileRefused, match="No space left"), new_file(folder / "users.jsonl") as file:
            file.write(bytes(kilobytes * 1024 + 1))
        assert list(folder.iterdir()) == []
    resize(4000)
    await back_up(url, folder / "copy.db", lambda *_: None, b"a key of enough characters, 32")
    await store.close()
    assert is_whole(folder / "copy.db")
