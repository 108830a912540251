"""What `store backup` says and makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.in_process import run
from tests.running import MASTER_KEY

PASSWORD = "brown otters juggle turnips"


def make_user(folder: Path, username: str) -> None:
    made = run(
        folder, "users", "create", "--username", username, "--role", "customer", "--password-stdin", stdin=PASSWORD
    )
    assert made.returncode == 0, made.stderr


def test_the_command_says_where_the_master_key_is(tmp_path: Path) -> None:
    make_user(tmp_path, "lak")
    beside = run(tmp_path, "store", "backup", "one.db")
    assert beside.stdout.splitlines() == [
        "backed up to one.db, checked",
        "the master key is beside it, in one.db.key: whoever has both can sign tokens",
    ]
    assert (tmp_path / "one.db.key").read_bytes() == (tmp_path / "data" / "watchword.db.key").read_bytes()
    without = run(tmp_path, "store", "backup", "two.db", "--without-key")
    assert (
        without.stdout.splitlines()[1]
        == f"the master key is not in it; keep {tmp_path}/data/watchword.db.key too, in another place"
    )
    assert not (tmp_path / "two.db.key").exists()
    given = run(tmp_path, "store", "backup", "three.db", WATCHWORD__KEYS__MASTER_KEY=MASTER_KEY)
    assert "in the settings (keys.master_key)" in given.stdout
    assert not (tmp_path / "three.db.key").exists()


def test_a_store_whose_master_key_is_gone_is_copied_only_without_it(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate").returncode == 0
    assert "no master key yet" in run(tmp_path, "store", "backup", "one.db").stdout
    make_user(tmp_path, "lak")
    (tmp_path / "data" / "watchword.db.key").unlink()
    refused = run(tmp_path, "store", "backup", "two.db")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"store: {tmp_path}/data/watchword.db.key is missing, the master key")
    assert refused.stderr.endswith("; or use --without-key\n")
    assert list(tmp_path.glob("two.db*")) == []
    assert run(tmp_path, "store", "backup", "two.db", "--without-key").returncode == 0


@pytest.mark.parametrize("there", ["copy.db", "copy.db.key"])
def test_neither_the_copy_nor_its_key_replaces_a_file(tmp_path: Path, there: str) -> None:
    make_user(tmp_path, "lak")
    (tmp_path / there).write_text("mine")
    refused = run(tmp_path, "store", "backup", "copy.db")
    assert (refused.returncode, refused.stderr) == (1, f"file: {there} is there already; choose another name\n")
    assert [file.name for file in tmp_path.glob("copy*")] == [there]
    assert (tmp_path / there).read_text() == "mine"


@pytest.mark.parametrize("path", [".", "nowhere/copy.db", "data"])
def test_a_place_that_cannot_be_used_is_one_clear_line(tmp_path: Path, path: str) -> None:
    make_user(tmp_path, "lak")
    refused = run(tmp_path, "store", "backup", path)
    assert refused.returncode == 1
    assert refused.stderr.startswith("file: ")
    assert len(refused.stderr.splitlines()) == 1


def test_without_a_store_there_is_no_backup_and_nothing_is_made(tmp_path: Path) -> None:
    refused = run(tmp_path, "store", "backup", "copy.db")
    assert (refused.returncode, refused.stderr) == (1, f"store: there is no store at {tmp_path}/data/watchword.db\n")
    assert list(tmp_path.iterdir()) == []


def test_postgresql_is_told_its_own_tool_in_one_line(tmp_path: Path) -> None:
    refused = run(
        tmp_path,
        "store",
        "backup",
        "copy.db",
        WATCHWORD__STORE__URL="postgresql://user:hush@127.0.0.1:1/nowhere",
        WATCHWORD__KEYS__MASTER_KEY=MASTER_KEY,
    )
    assert refused.returncode == 1
    assert "pg_dump" in refused.stderr
    assert "hush" not in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
