"""What `store restore` says, makes and refuses."""

from __future__ import annotations

import fcntl
import json
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from server.core.errors import FileRefused
from server.database.sqlite.restore import restore
from tests.database.test_backup_command import make_user
from tests.in_process import run
from tests.running import MASTER_KEY


@pytest.fixture
def backed_up(tmp_path: Path) -> Path:
    """A folder with a store of two users, and a backup of the time when it had one."""
    make_user(tmp_path, "lak")
    assert run(tmp_path, "store", "backup", "copy.db").returncode == 0
    make_user(tmp_path, "john")
    assert run(tmp_path, "users", "disable", "lak").returncode == 0
    return tmp_path


def move_away(folder: Path) -> Path:
    (folder / "data").rename(folder / "old")
    return folder / "old" / "watchword.db"


def everything(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def users(folder: Path) -> dict[str, bool]:
    listed = json.loads(run(folder, "users", "list", "--json").stdout)["users"]
    return {user["username"]: user["disabled"] for user in listed}


def refused(folder: Path, *arguments: str, **changes: str) -> str:
    """Its line, and that nothing was changed."""
    before = everything(folder)
    done = run(folder, "store", "restore", *arguments, **changes)
    assert (done.returncode, done.stdout) == (1, ""), done
    assert len(done.stderr.splitlines()) == 1
    assert everything(folder) == before
    return done.stderr


def test_a_backup_takes_the_place_of_the_store_and_says_what_is_undone(backed_up: Path) -> None:
    old = move_away(backed_up)
    done = run(backed_up, "store", "restore", "copy.db", "--old", "old/watchword.db")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    store = backed_up / "data" / "watchword.db"
    assert lines[:2] == [
        f"restored copy.db to {store}, checked",
        f"the master key is beside it, in {store}.key",
    ]
    assert ": record 1 of its audit log, head " in lines[2]
    assert "users who were disabled since are enabled" in lines[3]
    assert lines[4] == "recorded in old/watchword.db since then: user_created 1, user_changed 1"
    assert lines[5:] == []
    assert {stat.S_IMODE(file.stat().st_mode) for file in (backed_up / "data").iterdir()} == {0o600}
    assert users(backed_up) == {"lak": False}
    head = lines[2].rpartition(" ")[2]
    assert run(backed_up, "audit", "verify", "--head", head).returncode == 0
    assert old.exists()


def test_a_store_that_is_there_is_never_overwritten(backed_up: Path) -> None:
    line = refused(backed_up, "copy.db")
    assert "there is a store already (watchword.db)" in line
    assert f"mkdir {backed_up}/data/old-store && mv {backed_up}/data/watchword.db* " in line
    for part in ("-wal", ".key"):
        folder = backed_up / "data"
        shutil.rmtree(folder)
        folder.mkdir()
        (folder / f"watchword.db{part}").write_text("what was left")
        (folder / f"watchword.db{part}").chmod(0o600)
        assert f"(watchword.db{part})" in refused(backed_up, "copy.db")


def test_a_running_server_whose_files_were_moved_is_noticed(backed_up: Path) -> None:
    move_away(backed_up)
    (backed_up / "data").mkdir()
    for name in ("write-lock", "write-lock.turn"):
        (backed_up / "data" / f"watchword.db.{name}").touch()
    with (backed_up / "data" / "watchword.db.serve-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "a server runs on" in refused(backed_up, "copy.db")


def test_the_master_key_may_have_stayed_or_stand_in_the_settings(tmp_path: Path) -> None:
    make_user(tmp_path, "lak")
    run(tmp_path, "store", "backup", "copy.db", "--without-key")
    key = tmp_path / "data" / "watchword.db.key"
    text = key.read_text().strip()
    for file in (tmp_path / "data").iterdir():
        if file != key:
            file.unlink()
    done = run(tmp_path, "store", "restore", "copy.db")
    assert done.stdout.splitlines()[1] == f"the master key was there already, in {key}"
    move_away(tmp_path)
    assert "copy.db.key is missing" in refused(tmp_path, "copy.db")
    wrong = refused(tmp_path, "copy.db", WATCHWORD__KEYS__MASTER_KEY=MASTER_KEY)
    assert "keys.master_key does not open this backup" in wrong
    done = run(tmp_path, "store", "restore", "copy.db", WATCHWORD__KEYS__MASTER_KEY=text)
    assert done.stdout.splitlines()[1] == "the master key is in the settings (keys.master_key)"
    assert not key.exists()


def test_a_key_that_does_not_open_the_backup_is_refused(backed_up: Path) -> None:
    move_away(backed_up)
    (backed_up / "copy.db.key").write_text("x" * 44)
    assert "copy.db.key does not open this backup" in refused(backed_up, "copy.db")


def flip(path: Path) -> None:
    """Damage a page in the middle."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(content)


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 9999")


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (x)")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.unlink(), "there is no copy.db"),
        (lambda path: path.write_bytes(b""), "the file is empty"),
        (lambda path: path.write_text("no database " * 999), "damaged or no SQLite database"),
        (lambda path: path.write_bytes(path.read_bytes()[:20_000]), "damaged or no SQLite database"),
        (flip, "damaged or no SQLite database"),
        (newer, "newer than this program"),
        (foreign, "a database of another program"),
        (lambda path: path.with_name("copy.db-wal").write_bytes(b"x"), "is not whole without"),
        (lambda path: (path.unlink(), path.mkdir()), "is a folder"),
    ],
)
def test_what_is_no_whole_backup_is_refused(backed_up: Path, spoil: object, said: str) -> None:
    move_away(backed_up)
    assert callable(spoil)
    spoil(backed_up / "copy.db")
    assert said in refused(backed_up, "copy.db")
    assert not (backed_up / "data").exists()


def test_an_older_or_other_store_is_not_mistaken_for_what_followed(backed_up: Path) -> None:
    move_away(backed_up)
    other = backed_up / "other"
    other.mkdir()
    make_user(other, "lak")
    done = run(backed_up, "store", "restore", "copy.db", "--old", "other/data/watchword.db")
    assert done.returncode == 0
    assert "is another store or an older one" in done.stdout
    shutil.rmtree(backed_up / "data")
    (backed_up / "junk").write_text("junk " * 999)
    done = run(backed_up, "store", "restore", "copy.db", "--old", "junk")
    assert done.returncode == 0
    assert "junk can't be read" in done.stdout


def test_postgresql_is_told_its_own_tool_in_one_line(tmp_path: Path) -> None:
    url = "postgresql://user:hush@127.0.0.1:1/nowhere"
    line = refused(tmp_path, "copy.db", WATCHWORD__STORE__URL=url, WATCHWORD__KEYS__MASTER_KEY=MASTER_KEY)
    assert "pg_restore" in line
    assert "hush" not in line


async def test_what_is_interrupted_leaves_nothing(backed_up: Path) -> None:
    move_away(backed_up)
    before = everything(backed_up)

    def fail(*_: int) -> None:
        raise FileRefused("interrupted")

    with pytest.raises(FileRefused):
        await restore(backed_up / "copy.db", backed_up / "data" / "watchword.db", b"key", fail)
    assert everything(backed_up) == before
    assert not (backed_up / "data").exists()
