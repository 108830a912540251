"""Files that are deleted, replaced or cut while a store is open."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from server.app import open_services
from server.background import WAIT_SECONDS
from server.core.errors import StoreRefused, StoreUnavailable
from server.database.open import pending_migrations
from server.database.sqlite import file_watch
from server.database.sqlite.contents import beside
from server.repositories import Repositories, open_repositories
from server.settings.tree import KeySettings
from tests.database.other_process import ROOT, command
from tests.records import add_user, new_user, usernames
from tests.running import settings_with

ENOUGH = 40


@pytest.fixture
async def opened(url: str) -> AsyncIterator[Repositories]:
    store = await open_repositories(url, serving=True)
    await asyncio.gather(*(add_user(store, new_user(number)) for number in range(ENOUGH)))
    yield store
    await store.close()


def _delete(path: Path) -> None:
    path.unlink()


def _replace(path: Path) -> None:
    shutil.copy(path, beside(path, ".copy"))
    beside(path, ".copy").replace(path)


def _delete_log(path: Path) -> None:
    beside(path, "-wal").unlink()


def _replace_log(path: Path) -> None:
    _replace(beside(path, "-wal"))


def _delete_index(path: Path) -> None:
    beside(path, "-shm").unlink()


def _rename_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def _delete_lock(path: Path) -> None:
    beside(path, ".serve-lock").unlink()


def _cut(path: Path) -> None:
    os.truncate(path, 3 * 4096)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _empty_log(path: Path) -> None:
    os.truncate(beside(path, "-wal"), 0)


def _cut_log(path: Path) -> None:
    os.truncate(beside(path, "-wal"), 20_000)


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700)


def _bytes(path: Path) -> tuple[bytes, bytes]:
    return path.read_bytes(), _bytes_of_log(path)


def _bytes_of_log(path: Path) -> bytes:
    log = beside(path, "-wal")
    return log.read_bytes() if log.exists() else b""


TAKEN = [
    _delete,
    _replace,
    _delete_log,
    _replace_log,
    _delete_index,
    _rename_folder,
    _delete_lock,
    _cut,
    _empty,
    _empty_log,
    _cut_log,
]


@pytest.mark.parametrize("take", TAKEN)
async def test_nothing_is_acknowledged_once_a_file_was_taken(
    opened: Repositories, path: Path, take: Callable[[Path], None]
) -> None:
    take(path)
    with capture_logs() as lines:
        for number in (100, 101):
            with pytest.raises(StoreUnavailable):
                await add_user(opened, new_user(number))
        with pytest.raises(StoreUnavailable):
            await usernames(opened)
    told = [line for line in lines if line["log_level"] == "error"]
    assert len(told) == 1
    assert "restart the server" in told[0]["remedy"]


@pytest.mark.parametrize("take", [_rename_folder, _delete_log, _cut, _cut_log])
async def test_it_is_noticed_without_a_write(opened: Repositories, path: Path, take: Callable[[Path], None]) -> None:
    await opened.driver.wait_for_change(WAIT_SECONDS)
    take(path)
    with pytest.raises(StoreUnavailable):
        await opened.driver.wait_for_change(WAIT_SECONDS)
    with pytest.raises(StoreUnavailable):
        await opened.keys.list_keys()


@pytest.mark.parametrize("ending", ["", "-wal", "-shm", ".serve-lock", ".write-lock"])
async def test_a_file_that_is_back_is_used_again(opened: Repositories, path: Path, ending: str) -> None:
    file = beside(path, ending)
    away = path.with_name("away")
    file.rename(away)
    with capture_logs() as lines:
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await add_user(opened, new_user(100))
            with pytest.raises(StoreUnavailable):
                await usernames(opened)
        away.rename(file)
        # Without a write too.
        await opened.driver.wait_for_change(WAIT_SECONDS)
        assert "user100" not in await usernames(opened)
        await add_user(opened, new_user(101))
    events = [line["event"] for line in lines]
    assert events == ["a file of the store is gone", "the files of the store are back"]
    assert "user101" in await usernames(opened)


async def test_a_copy_is_not_taken_for_the_file_that_is_gone(opened: Repositories, path: Path) -> None:
    _replace(path)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await add_user(opened, new_user(100))


@pytest.mark.parametrize("of_folder", [False, True])
async def test_a_link_that_leads_elsewhere_by_now_is_noticed(tmp_path: Path, path: Path, *, of_folder: bool) -> None:
    """The next start would open what it leads to."""
    link, name = tmp_path / "link", path.name if of_folder else ""
    link.symlink_to(path.parent if of_folder else path)
    _make_folder(path.parent)
    store = await open_repositories(f"sqlite:///{link}/{name}", serving=True)
    await add_user(store, new_user(1))
    shutil.copytree(path.parent, tmp_path / "copy")
    link.unlink()
    link.symlink_to(tmp_path / "copy" / ("" if of_folder else path.name))
    with pytest.raises(StoreUnavailable):
        await add_user(store, new_user(2))
    await store.close()


async def test_what_was_acknowledged_before_its_log_was_deleted_is_there_after_a_kill(
    opened: Repositories, url: str, path: Path
) -> None:
    _delete_log(path)
    with pytest.raises(StoreUnavailable):
        await add_user(opened, new_user(100))
    # As it would be found after kill -9: closing the store writes nothing more.
    left, _ = _bytes(path)
    await opened.close()
    await asyncio.to_thread(path.write_bytes, left)
    again = await open_repositories(url, serving=True)
    assert len(await usernames(again)) == ENOUGH
    await again.close()


def _overwrite(path: Path, content: bytes) -> None:
    with path.open("r+b") as file:
        file.write(content)


def _run(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # The triggers of users write into a virtual table.
        connection.execute("PRAGMA trusted_schema = ON")
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("size", [0, 20_000])
async def test_a_log_that_was_cut_off_and_grows_again_is_noticed_and_not_written_back(
    opened: Repositories, url: str, path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite writes on behind its former end; the hole is zeros to it, and would go over pages of the database."""
    before, _ = _bytes(path)
    with monkeypatch.context() as patched:
        # It happens behind the look before a write.
        patched.setattr(file_watch.FileWatch, "before_write", lambda *_: os.truncate(beside(path, "-wal"), size))
        with pytest.raises(StoreUnavailable):
            await add_user(opened, new_user(100))
    with pytest.raises(StoreUnavailable):
        await usernames(opened)
    await opened.close()
    assert _bytes(path)[0] == before


async def test_a_file_that_is_overwritten_during_a_write_is_noticed(
    opened: Repositories, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, _ = _bytes(path)
    _run(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    await opened.driver.wait_for_change(WAIT_SECONDS)
    with monkeypatch.context() as patched:
        patched.setattr(file_watch.FileWatch, "before_write", lambda *_: path.write_bytes(before))
        with pytest.raises(StoreUnavailable):
            await add_user(opened, new_user(100))
    with pytest.raises(StoreUnavailable):
        await usernames(opened)


@pytest.mark.parametrize("what", ["older copy", "another store", "zeros", "text"])
async def test_a_file_that_is_overwritten_in_its_place_is_noticed(
    opened: Repositories, path: Path, tmp_path: Path, what: str
) -> None:
    _run(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    await opened.driver.wait_for_change(WAIT_SECONDS)
    content, _ = _bytes(path)
    if what == "another store":
        await _copy_of_log(tmp_path / "other" / "watchword.db", ENOUGH)
        content, _ = _bytes(tmp_path / "other" / "watchword.db")
    await add_user(opened, new_user(100))
    _run(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    await add_user(opened, new_user(101))
    _overwrite(path, {"zeros": len(content) * b"\0", "text": len(content) * b"x"}.get(what, content))
    with pytest.raises(StoreUnavailable):
        await opened.driver.wait_for_change(WAIT_SECONDS)
    with pytest.raises(StoreUnavailable):
        await add_user(opened, new_user(102))


@pytest.mark.parametrize(
    "statements",
    [
        ["DELETE FROM users WHERE id > 'x'", "PRAGMA wal_checkpoint(TRUNCATE)"],
        ["DELETE FROM users", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"],
        ["PRAGMA wal_checkpoint(TRUNCATE)", "UPDATE users SET name = 'x'"],
    ],
)
async def test_another_program_may_empty_the_log_and_shrink_the_file(
    opened: Repositories, path: Path, statements: list[str]
) -> None:
    _run(path, *statements)
    await opened.driver.wait_for_change(WAIT_SECONDS)
    await add_user(opened, new_user(100))
    assert "user100" in await usernames(opened)


async def test_a_folder_that_can_not_be_looked_into_is_no_loss(
    opened: Repositories, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(file_watch, "_look_at", denied)
        with pytest.raises(StoreUnavailable):
            await add_user(opened, new_user(100))
        with pytest.raises(StoreUnavailable):
            await opened.driver.wait_for_change(WAIT_SECONDS)
    await add_user(opened, new_user(101))


def _leave_log(url: str, users: int) -> None:
    """A store as it is after kill -9: with a log."""
    with subprocess.Popen(
        command("serve", url, users), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == [b"open\n", b"written\n"]
        process.kill()


async def _copy_of_log(path: Path, users: int) -> bytes:
    store = await open_repositories(f"sqlite:///{path}", serving=True)
    for number in range(users):
        await add_user(store, new_user(number))
    log = beside(path, "-wal").read_bytes()
    await store.close()
    return log


async def test_a_log_of_another_store_is_refused_and_both_files_stay_as_they_were(
    url: str, path: Path, tmp_path: Path
) -> None:
    store = await open_repositories(url, serving=True)
    await add_user(store, new_user(1))
    await store.close()
    log = await _copy_of_log(tmp_path / "other" / "watchword.db", 30)
    before, _ = _bytes(path)
    beside(path, "-wal").write_bytes(log)
    for refused in (
        open_repositories(url, serving=True),
        open_repositories(url, serving=False),
        pending_migrations(url),
    ):
        with pytest.raises(StoreRefused, match="were not left together"):
            await refused
    assert _bytes(path) == (before, log)
    beside(path, "-wal").unlink()
    store = await open_repositories(url, serving=True)
    assert await usernames(store) == {"user1"}
    await store.close()


async def test_a_log_that_was_left_is_used_once_it_is_sure_whose_it_is(url: str, path: Path, tmp_path: Path) -> None:
    _leave_log(url, 5)
    moved = tmp_path / "moved"
    shutil.copytree(path.parent, moved)
    before, _ = _bytes(path)

    # Everything together in another place. Who only reads writes nothing back.
    elsewhere = f"sqlite:///{moved}/watchword.db"
    for serving in (False, True):
        store = await open_repositories(elsewhere, serving=serving)
        assert len(await usernames(store)) == 5
        await store.close()
        assert _bytes(moved / "watchword.db")[0] == before
    store = await open_repositories(elsewhere, serving=True)
    await add_user(store, new_user(1))
    await store.close()
    written, log = _bytes(moved / "watchword.db")
    assert (written != before, log) == (True, b"")


@pytest.mark.parametrize("how", ["written over it", "renamed", "deleted before"])
async def test_a_backup_beside_the_log_of_what_was_there_is_refused(
    url: str, path: Path, tmp_path: Path, how: str
) -> None:
    """Also if it has the inode of the file before: ext4 gives it to the next file that is made."""
    await _copy_of_log(path, 3)
    backup = tmp_path / "backup.db"
    shutil.copy(path, backup)
    store = await open_repositories(url, serving=True)
    await add_user(store, new_user(100))
    await store.close()
    _leave_log(url, 5)
    _, log = _bytes(path)
    if how == "renamed":
        _replace(path)
    if how == "deleted before":
        _delete(path)
    shutil.copy(backup, path)
    with pytest.raises(StoreRefused, match="if you have restored the one, move the other away"):
        await open_repositories(url, serving=True)
    assert _bytes(path) == (backup.read_bytes(), log)
    beside(path, "-wal").unlink()
    store = await open_repositories(url, serving=True)
    assert len(await usernames(store)) == 3
    await store.close()


async def test_a_folder_that_was_restored_over_itself_is_taken(url: str, path: Path, tmp_path: Path) -> None:
    """Some of its files are new then, and others are not."""
    _leave_log(url, 5)
    shutil.copytree(path.parent, tmp_path / "kept")
    store = await open_repositories(url, serving=True)
    await add_user(store, new_user(1))
    beside(path, "-wal").rename(tmp_path / "its inode is not free")
    await store.close()
    shutil.copytree(tmp_path / "kept", path.parent, dirs_exist_ok=True)
    store = await open_repositories(url, serving=True)
    assert len(await usernames(store)) == 5
    await store.close()


async def test_a_restored_file_is_what_counts_from_its_first_start_on(url: str, path: Path, tmp_path: Path) -> None:
    await _copy_of_log(path, 1)
    backup = shutil.copy(path, tmp_path / "backup.db")
    store = await open_repositories(url, serving=True)
    await add_user(store, new_user(100))
    await store.close()
    shutil.copy(backup, path)
    # It is killed at once, and leaves a log.
    _leave_log(url, 5)
    store = await open_repositories(url, serving=True)
    assert len(await usernames(store)) == 6
    await store.close()


async def test_a_server_whose_keys_fit_leaves_everything_in_the_one_file(url: str, path: Path) -> None:
    async with open_services(settings_with(url), serving=True):
        pass
    _leave_log(url, 5)
    before, log = _bytes(path)
    assert log
    other = KeySettings(master_key=(SecretStr(secrets.token_urlsafe(32)),))
    with pytest.raises(StoreRefused, match="does not fit"):
        async with open_services(settings_with(url, keys=other), serving=True):
            pytest.fail("it opened")
    assert _bytes(path) == (before, log)
    async with open_services(settings_with(url), serving=True):
        pass
    assert _bytes_of_log(path) == b""
    store = await open_repositories(url, serving=False)
    assert len(await usernames(store)) == 5
    await store.close()


@pytest.mark.parametrize("left", [".write-lock", "-wal"])
async def test_a_missing_file_is_not_made_anew_while_its_marks_are_there(url: str, path: Path, left: str) -> None:
    await (await open_repositories(url, serving=True)).close()
    for file in path.parent.iterdir():
        if file != beside(path, ".write-lock"):
            file.unlink()
    beside(path, ".key").touch()
    if left == "-wal":
        beside(path, ".write-lock").unlink()
        beside(path, "-wal").write_bytes(b"the last writes")
    for refused in (
        open_repositories(url, serving=True),
        open_repositories(url, serving=False),
        pending_migrations(url),
    ):
        with pytest.raises(StoreRefused, match=rf"is gone.*\.key, .*{left}.*for a new and empty store move these away"):
            await refused
    assert not beside(path, "").exists()
    beside(path, left).unlink()
    beside(path, ".key").unlink()
    await (await open_repositories(url, serving=True)).close()


async def test_a_log_that_a_reader_made_long_is_short_again_after_the_reader(
    opened: Repositories, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_watch, "LONGEST_LOG", 1_000_000)
    # Each try waits a tenth of a second for the reader.
    monkeypatch.setattr(file_watch, "RETRY_SECONDS", 0.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM users").fetchone()
        for number in range(200, 205):
            await add_user(opened, new_user(number, name=500_000 * "x"))
        assert beside(path, "-wal").stat().st_size > 2_000_000
        reader.execute("COMMIT")
    await add_user(opened, new_user(300))
    assert beside(path, "-wal").stat().st_size < 1_000_000
    assert len(await usernames(opened)) == ENOUGH + 6


async def test_a_log_that_was_emptied_is_looked_at_once_and_not_emptied_by_each_write(
    opened: Repositories, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emptied, empty_log = 0, file_watch._empty_log

    def count(connection: sqlite3.Connection) -> bool:
        nonlocal emptied
        emptied += 1
        return empty_log(connection)

    monkeypatch.setattr(file_watch, "_empty_log", count)
    _run(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    for number in range(100, 105):
        await add_user(opened, new_user(number))
    assert emptied == 1
    assert _bytes_of_log(path)
    # The same for a log that the server itself has emptied, since it was long.
    monkeypatch.setattr(file_watch, "LONGEST_LOG", 1)
    for number in range(105, 110):
        await add_user(opened, new_user(number))
    assert emptied == 2


async def test_what_another_process_has_written_back_is_no_reason_to_write_back_each_write(
    opened: Repositories, path: Path
) -> None:
    """Each process would see the others write to the file, and each commit would take three times as long."""
    for _ in range(2):
        _run(path, "PRAGMA wal_checkpoint(TRUNCATE)")
        lengths = []
        for _ in range(5):
            await opened.driver.write_one("INSERT INTO revocations (session_id, forget_at) VALUES ('one', 1)")
            lengths.append(beside(path, "-wal").stat().st_size)
        # What is written back is written over by the next write.
        assert len(set(lengths)) == 5


@contextmanager
def _reader_of_an_emptied_log(path: Path) -> Iterator[None]:
    """Another process has emptied the log and gone on writing, and a third one reads what was before the last write."""
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        closing(sqlite3.connect(path, isolation_level=None)) as reader,
    ):
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        other.execute("INSERT INTO revocations (session_id, forget_at) VALUES ('first', 1)")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM revocations").fetchone()
        other.execute("INSERT INTO revocations (session_id, forget_at) VALUES ('second', 1)")
        yield


async def test_a_log_that_another_process_has_emptied_is_written_on_while_somebody_reads_for_long(
    opened: Repositories, path: Path
) -> None:
    """Such as the check of the whole file after the start: it would else keep a worker from writing for minutes."""
    with _reader_of_an_emptied_log(path):
        for number in range(100, 105):
            await add_user(opened, new_user(number))
    assert len(await usernames(opened)) == ENOUGH + 5


async def test_a_log_that_was_cut_off_while_somebody_reads_is_not_written_on(opened: Repositories, path: Path) -> None:
    with _reader_of_an_emptied_log(path):
        os.truncate(beside(path, "-wal"), beside(path, "-wal").stat().st_size - 1)
        with pytest.raises(StoreUnavailable):
            await add_user(opened, new_user(100))
    assert len(await usernames(opened)) == ENOUGH


async def test_what_is_noted_of_the_file_is_on_the_disk(opened: Repositories, path: Path) -> None:
    """While a reader prevents that all of the log is written back, SQLite does not sync the file.

    A power failure could leave the note alone, and the next start would refuse the file as an older one.
    """
    await _fill_log(opened)
    noted = beside(path, ".write-lock").read_bytes()
    await add_user(opened, new_user(ENOUGH))
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM users").fetchone()
        before, _ = _bytes(path)
        await _fill_log(opened)
        assert _bytes(path)[0] != before
        assert beside(path, ".write-lock").read_bytes() == noted
    await add_user(opened, new_user(ENOUGH + 1))
    assert beside(path, ".write-lock").read_bytes() != noted


async def _fill_log(store: Repositories) -> None:
    """Write so many pages that SQLite writes the log back."""
    sql = (
        "INSERT INTO mail_requests (id, purpose, identifier, challenge_id, language, created_at) "
        "VALUES ($1, 'sign_in', zeroblob(5000000), '', 'en', 0) RETURNING id"
    )
    await store.driver.write_one(sql, secrets.token_hex(4))
