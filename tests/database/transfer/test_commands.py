"""What `store move` and `store reopen` say and refuse."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from server.database.open import apply_migrations
from server.database.sqlite.closing import MOVE_LOCK
from server.files.file_lock import FileLock
from tests.database.test_backup_command import make_user
from tests.in_process import run
from tests.running import MASTER_KEY

NEW = "sqlite:///new/watchword.db"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a store on SQLite."""
    make_user(tmp_path, "lak")
    return tmp_path


def everything(folder: Path) -> dict[str, bytes]:
    """All files but the lock, where each command that opens the store notes what it has found."""
    files = (file for file in folder.rglob("*") if file.is_file() and file.suffix != ".write-lock")
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def refused(folder: Path, *arguments: str, **changes: str) -> str:
    """Its line, and that nothing was changed."""
    before = everything(folder)
    done = run(folder, "store", *arguments, **changes)
    assert (done.returncode, done.stdout) == (1, ""), done
    assert len(done.stderr.splitlines()) == 1
    assert everything(folder) == before
    return done.stderr


def settings(url: str, folder: Path | None = None) -> dict[str, str]:
    """Those of a server on PostgreSQL, with the master key of a store that was moved there."""
    key = MASTER_KEY if folder is None else (folder / "data" / "watchword.db.key").read_text().strip()
    return {"WATCHWORD__STORE__URL": url, "WATCHWORD__KEYS__MASTER_KEY": key}


def sql(url: str, *statements: str) -> list[list[asyncpg.Record]]:
    async def fetch() -> list[list[asyncpg.Record]]:
        connection = await asyncpg.connect(url)
        try:
            return [await connection.fetch(statement) for statement in statements]
        finally:
            await connection.close()

    return asyncio.run(fetch())


def has_schema(url: str) -> bool:
    return bool(sql(url, "SELECT FROM pg_namespace WHERE nspname = 'watchword'")[0])


def test_to_postgresql_and_back(here: Path, postgres_url: str) -> None:
    head = run(here, "audit", "verify").stdout
    before = everything(here)
    looked = run(here, "store", "move", "--to", postgres_url, "--dry-run")
    assert (looked.returncode, looked.stderr) == (0, "")
    assert "users\t1\t" in looked.stdout
    assert f"set keys.master_key to the line in {here}/data/watchword.db.key" in looked.stdout
    assert looked.stdout.splitlines()[-1] == "nothing was changed"
    assert everything(here) == before
    assert not has_schema(postgres_url)

    (here / "url").write_text(f"{postgres_url}\r\n", "utf-8")
    moved = run(here, "store", "move", "--to", "@url")
    assert (moved.returncode, moved.stderr) == (0, "")
    lines = moved.stdout.splitlines()
    assert lines[0] == "table\trows\tchecksum"
    assert {line for line in lines if "\t" in line} == {line for line in looked.stdout.splitlines() if "\t" in line}
    assert " and compared both" in lines[-3]
    assert f"set keys.master_key to the line in {here}/data/watchword.db.key; restart every server" in lines[-2]
    again = run(here, "store", "move", "--to", postgres_url)
    assert (again.returncode, "everything is in" in again.stdout) == (0, True)
    assert "was moved to" in refused(here, "move", "--to", NEW)
    assert "was moved to" in run(here, "users", "disable", "lak").stderr

    there = settings(postgres_url, here)
    assert run(here, "audit", "verify", **there).stdout == head
    assert run(here, "users", "disable", "lak", **there).returncode == 0
    back = run(here, "store", "move", "--to", "-", stdin=NEW, **there)
    assert (back.returncode, back.stderr) == (0, "")
    assert "set store.url to sqlite:///" in back.stdout
    assert "keys.master_key stays in the settings" in back.stdout
    new = there | {"WATCHWORD__STORE__URL": NEW}
    assert "none altered" in run(here, "audit", "verify", **new).stdout
    assert run(here, "users", "enable", "lak", **new).returncode == 0

    opened = run(here, "store", "reopen", **there)
    assert (opened.returncode, "takes writes again" in opened.stdout) == (0, True)
    assert run(here, "users", "enable", "lak", **there).returncode == 0
    assert "was not moved" in refused(here, "reopen", **there)


def test_the_key_file_goes_with_a_file(here: Path) -> None:
    moved = run(here, "store", "move", "--to", NEW)
    assert (moved.returncode, moved.stderr) == (0, "")
    assert (here / "new" / "watchword.db.key").read_text() == (here / "data" / "watchword.db.key").read_text()
    assert {file.stat().st_mode & 0o777 for file in (here / "new").iterdir()} == {0o600}
    assert run(here, "users", "disable", "lak", WATCHWORD__STORE__URL=NEW).returncode == 0


def test_a_postgresql_that_holds_data_is_never_touched(here: Path, migrated_postgres_url: str) -> None:
    sql(
        migrated_postgres_url,
        "INSERT INTO watchword.guesses (key, failures, retry_at, touched_at) VALUES ('a', 1, 2, 3)",
    )
    line = refused(here, "move", "--to", migrated_postgres_url)
    assert "holds data already (in the table guesses)" in line
    assert "holds data" in refused(here, "move", "--to", migrated_postgres_url, "--dry-run")
    assert len(sql(migrated_postgres_url, "SELECT FROM watchword.guesses")[0]) == 1
    # One that `migrate` has made, and on which a check of readiness has written its row, is empty.
    sql(migrated_postgres_url, "DELETE FROM watchword.guesses", "INSERT INTO watchword.readiness VALUES (1, 7)")
    assert run(here, "store", "move", "--to", migrated_postgres_url).returncode == 0


def test_a_postgresql_of_another_program_or_version_is_refused(here: Path, postgres_url: str) -> None:
    sql(postgres_url, "CREATE SCHEMA watchword", "CREATE TABLE watchword.mine (x INT)")
    assert "belongs to another program" in refused(here, "move", "--to", postgres_url)
    sql(postgres_url, "DROP SCHEMA watchword CASCADE")
    asyncio.run(apply_migrations(postgres_url))
    sql(
        postgres_url,
        "INSERT INTO watchword.schema_migrations (version, name, sha256, applied_at) VALUES (9998, 'later', '', 0)",
    )
    assert "newer than this program" in refused(here, "move", "--to", postgres_url)
    there = settings(postgres_url)
    assert "newer than this program" in refused(here, "move", "--to", NEW, **there)
    sql(postgres_url, "DELETE FROM watchword.schema_migrations WHERE version > 9")
    line = refused(here, "move", "--to", NEW, **there)
    assert "needs migrations first (0010_nodes" in line
    assert "run: python -m server migrate" in line


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("data/watchword.db", "leads to this store itself"),
        ("link.db", "leads to this store itself"),
        ("linked/watchword.db", "leads to this store itself"),
        ("mine.db", "mine.db is there already, and no store of this program; choose another path"),
        ("empty.db", "empty.db is there already, and no store of this program; choose another path"),
        ("former.db", "there is a store already (former.db); stop its server, then move all of it away"),
        ("other.db", "other.db is there already, and no store of this program; choose another path"),
        ("left.db", "there is a store already (left.db-wal)"),
        ("folder", "is a folder"),
        ("nowhere.db", "is not there"),
    ],
)
def test_a_path_that_is_taken_is_refused(here: Path, name: str, said: str) -> None:
    (here / "link.db").symlink_to("data/watchword.db")
    (here / "linked").symlink_to("data")
    (here / "mine.db").write_text("mine")
    (here / "empty.db").touch()
    # Only its head is whole.
    (here / "former.db").write_bytes((here / "data" / "watchword.db").read_bytes()[:4096])
    with closing(sqlite3.connect(here / "other.db", isolation_level=None)) as other:
        other.execute("CREATE TABLE theirs (id INTEGER)")
    (here / "left.db-wal").write_text("left")
    (here / "folder").mkdir()
    (here / "nowhere.db").symlink_to("gone/watchword.db")
    for options in ((), ("--dry-run",)):
        assert said in refused(here, "move", "--to", f"sqlite:///{name}", *options)


def test_a_hard_link_is_this_store_itself(here: Path) -> None:
    os.link(here / "data" / "watchword.db", here / "same.db")
    assert "leads to this store itself" in refused(here, "move", "--to", "sqlite:///same.db")


def test_a_database_by_another_name_is_this_store_itself(tmp_path: Path, migrated_postgres_url: str) -> None:
    other = migrated_postgres_url.replace("postgres:@", "postgres@").replace("postgresql:", "postgres:")
    assert other != migrated_postgres_url
    for options in ((), ("--dry-run",)):
        line = refused(tmp_path, "move", "--to", other, *options, **settings(migrated_postgres_url))
        assert "leads to this store itself" in line


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("nonsense", "is not a store"),
        ("", "is not a store"),
        ("sqlite:///", "names no file"),
        ("mysql://host/db", "is not a store"),
        ("sqlite:///a\nb.db", "has the character U+000A in it"),
        ("sqlite:///a\u200bb.db", "has the character U+200B in it"),
    ],
)
def test_a_url_that_is_none_is_wrong_usage(here: Path, to: str, said: str) -> None:
    done = run(here, "store", "move", "--to", to)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_a_file_with_the_url_that_can_not_be_read_is_one_line(here: Path) -> None:
    (here / "latin").write_bytes(b"postgresql://us\xe9r@host/db")
    assert "nowhere can't be read (No such file or directory)" in refused(here, "move", "--to", "@nowhere")
    assert "is no text" in refused(here, "move", "--to", "@latin")


def test_a_server_that_is_not_there_is_one_line_without_the_password(here: Path) -> None:
    line = refused(here, "move", "--to", "postgresql://user:hush@127.0.0.1:1/nowhere")
    assert "PostgreSQL can't be reached" in line
    assert "check --to" in line
    assert "hush" not in line


def test_a_wrong_password_and_missing_rights_are_one_line(here: Path, postgres_url: str) -> None:
    sql(postgres_url, "DROP ROLE IF EXISTS poor", "CREATE ROLE poor LOGIN")
    poor = postgres_url.replace("postgres:@", "poor@")
    line = refused(here, "move", "--to", poor)
    assert "permission denied for database" in line
    assert "check --to and the rights of its user" in line
    # On the side of the old store it has to own the tables.
    asyncio.run(apply_migrations(postgres_url))
    sql(
        postgres_url,
        "GRANT USAGE ON SCHEMA watchword TO poor",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA watchword TO poor",
    )
    line = refused(here, "move", "--to", NEW, **settings(poor))
    assert "permission denied for schema watchword" in line
    assert "name the role that owns the tables" in line
    sql(postgres_url, "DROP OWNED BY poor", "DROP ROLE poor")


def test_a_second_move_and_a_store_that_is_none_are_refused(
    here: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lock = FileLock(here / "data" / f"watchword.db{MOVE_LOCK}")
    assert lock.try_acquire()
    assert "is being moved by another process" in refused(here, "move", "--to", NEW)
    lock.close()
    nowhere = tmp_path_factory.mktemp("nowhere")
    assert "there is no store in" in refused(nowhere, "move", "--to", NEW)
    assert "there is no store in" in refused(nowhere, "reopen")


def test_a_master_key_that_does_not_fit_is_refused(here: Path) -> None:
    line = refused(here, "move", "--to", NEW, WATCHWORD__KEYS__MASTER_KEY=MASTER_KEY)
    assert "keys.master_key does not open the keys of this store" in line


def test_a_full_disk_is_one_line_and_leaves_nothing(here: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    small = here / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small], check=False)  # noqa: S607
    if mounted.returncode != 0:
        pytest.skip("this machine lets nobody mount")
    try:
        line = refused(here, "move", "--to", "sqlite:///small/watchword.db")
        assert "is the disk full?" in line
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)  # noqa: S607
    assert run(here, "users", "disable", "lak").returncode == 0
