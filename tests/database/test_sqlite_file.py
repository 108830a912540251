"""Which SQLite files are taken, and that the others are left as they were."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from server.core.errors import StoreRefused
from server.database.migration_files import Migration, migrations
from server.database.open import apply_migrations, pending_migrations, sqlite_path
from server.repositories import open_repositories
from tests.records import add_user, new_user, usernames
from tests.stores import pending_names

ALL = [migration.name for migration in migrations("sqlite")]


@pytest.fixture
async def made(url: str, path: Path) -> Path:
    """A file with a user."""
    store = await open_repositories(url, serving=True)
    await add_user(store, new_user(1))
    await store.close()
    return path


def _read(path: Path) -> bytes:
    return path.read_bytes()


def _names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def _make_folder(path: Path) -> None:
    path.mkdir(parents=True)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def _run(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


async def _assert_refused(url: str, message: str) -> None:
    """Whatever is asked for, in one line, and nothing in the file is changed."""
    path = sqlite_path(url)
    before = _read(path)
    for refused in (
        open_repositories(url, serving=True),
        open_repositories(url, serving=False),
        pending_migrations(url),
        apply_migrations(url),
    ):
        with pytest.raises(StoreRefused, match=message) as caught:
            await refused
        assert "\n" not in str(caught.value)
    assert _read(path) == before


def test_the_path_in_a_url(tmp_path: Path) -> None:
    assert sqlite_path("sqlite:///data/watchword.db") == Path("data/watchword.db").absolute()
    assert sqlite_path(f"sqlite:///{tmp_path}/x y?.db") == tmp_path / "x y?.db"


async def test_a_path_may_have_any_characters(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a b/50%3F?#ü.db"
    store = await open_repositories(url, serving=True)
    await add_user(store, new_user(1))
    await store.close()
    assert (tmp_path / "a b" / "50%3F?#ü.db").exists()


async def test_looking_makes_nothing(url: str, path: Path) -> None:
    assert await pending_names(url) == ALL
    assert not path.parent.exists()


async def test_migrations_are_applied_once(url: str, path: Path) -> None:
    assert await apply_migrations(url) == ALL
    before = _read(path)
    assert await pending_names(url) == []
    assert await apply_migrations(url) == []
    assert _read(path) == before


async def test_looking_at_a_served_store_changes_nothing(url: str, path: Path) -> None:
    store = await open_repositories(url, serving=True)
    await add_user(store, new_user(1))
    before = {file.name: file.read_bytes() for file in path.parent.iterdir() if file.suffix != ".db-shm"}
    assert await pending_names(url) == []
    assert {file.name: file.read_bytes() for file in path.parent.iterdir() if file.suffix != ".db-shm"} == before
    assert await usernames(store) == {"user1"}
    await store.close()


@pytest.mark.parametrize("content", [b"", None])
async def test_a_blank_file_becomes_a_store(url: str, path: Path, content: bytes | None) -> None:
    path.parent.mkdir()
    if content is None:
        _run(path, "VACUUM")
    else:
        _write(path, content)
    assert await pending_names(url) == ALL
    store = await open_repositories(url, serving=True)
    await add_user(store, new_user(1))
    await store.close()


async def test_commands_may_migrate_at_once(url: str) -> None:
    applied = await asyncio.gather(*(apply_migrations(url) for _ in range(4)))
    assert sorted(applied) == [[], [], [], ALL]


async def test_a_start_that_was_cut_short_is_begun_again(url: str, path: Path) -> None:
    path.parent.mkdir()
    path.with_name("watchword.db.new").write_bytes(b"half a file")
    await (await open_repositories(url, serving=True)).close()
    assert not path.with_name("watchword.db.new").exists()


async def test_a_newer_store_is_refused(url: str, made: Path) -> None:
    _run(made, "INSERT INTO schema_migrations VALUES (9999, '9999_later', 'x', 0, 9999)")
    await _assert_refused(url, "newer than this program.*upgrade")


async def test_a_store_to_which_a_newer_program_has_added_is_used(url: str, made: Path) -> None:
    _run(made, "INSERT INTO schema_migrations VALUES (9999, '9999_later', 'x', 0, 0)", "PRAGMA user_version = 9999")
    assert await pending_names(url) == []
    for migrating in (True, False):
        await (await open_repositories(url, serving=True, migrating=migrating)).close()


async def test_a_program_that_may_not_migrate_makes_nothing(url: str, path: Path) -> None:
    refusal = "there is no store in .*; `serve` and `migrate` make one$"
    with pytest.raises(StoreRefused, match=refusal):
        await open_repositories(url, serving=True, migrating=False)
    assert not path.parent.exists()
    path.parent.mkdir()
    _write(path, b"")
    with pytest.raises(StoreRefused, match=refusal):
        await open_repositories(url, serving=True, migrating=False)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_a_program_that_may_not_migrate_names_what_is_needed(
    url: str, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await open_repositories(url, serving=True, migrating=False)).close()
    known = [*migrations("sqlite"), Migration(9998, "9998_later", "CREATE TABLE later (id TEXT) STRICT;")]
    monkeypatch.setattr("server.database.sqlite.file.migrations", lambda _: known)
    with pytest.raises(
        StoreRefused, match=r"watchword.db needs migrations first \(9998_later\); run: python -m server m"
    ):
        await open_repositories(url, serving=True, migrating=False)
    with closing(sqlite3.connect(made)) as connection:
        assert connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'later'").fetchall() == []


async def test_a_newer_header_is_refused(url: str, made: Path) -> None:
    _run(made, "PRAGMA user_version = 9999")
    await _assert_refused(url, "newer than this program")


async def test_a_changed_migration_is_refused(url: str, made: Path) -> None:
    _run(made, "UPDATE schema_migrations SET sha256 = 'x' WHERE version = 1")
    await _assert_refused(url, "another edition of migration 0001_first")


@pytest.mark.parametrize("mark", ["PRAGMA user_version = 0", "PRAGMA application_id = 42"])
async def test_a_foreign_database_is_refused(url: str, path: Path, mark: str) -> None:
    path.parent.mkdir()
    _run(path, "CREATE TABLE users (id)", mark)
    await _assert_refused(url, "another program")


async def test_a_store_without_its_history_is_refused(url: str, made: Path) -> None:
    _run(made, "DROP TABLE schema_migrations")
    await _assert_refused(url, "damaged.*tables are gone")


@pytest.mark.parametrize("content", [b"this is text and no database, however long", b"SQLite format 3\0" + 4096 * b"x"])
async def test_what_is_no_database_is_refused(url: str, path: Path, content: bytes) -> None:
    _write(path, content)
    await _assert_refused(url, "damaged or no SQLite database")


@pytest.mark.parametrize("size", [0, 100, 4096, 5000, -4096])
async def test_a_truncated_store_is_refused(url: str, made: Path, size: int) -> None:
    content = _read(made)
    _write(made, content[:size])
    await _assert_refused(url, "damaged")


async def test_a_damaged_page_is_refused_by_a_server(url: str, made: Path) -> None:
    content = bytearray(_read(made))
    content[8192:12288] = bytes(range(256)) * 16
    _write(made, bytes(content))
    for refused in (open_repositories(url, serving=True), pending_migrations(url)):
        with pytest.raises(StoreRefused, match="damaged"):
            await refused
    assert _read(made) == bytes(content)


async def test_a_log_without_its_file_is_refused(url: str, path: Path) -> None:
    path.parent.mkdir()
    path.with_name("watchword.db-wal").write_bytes(b"the last writes")
    with pytest.raises(StoreRefused, match="bring the file back"):
        await open_repositories(url, serving=True)
    assert path.name not in _names(path.parent)


async def test_a_folder_in_the_place_of_the_file_is_refused(url: str, path: Path) -> None:
    _make_folder(path)
    with pytest.raises(StoreRefused, match="is a folder"):
        await open_repositories(url, serving=True)


async def test_a_file_in_the_place_of_the_folder_is_refused(url: str, path: Path) -> None:
    path.parent.write_text("in the way")
    with pytest.raises(StoreRefused, match="can't make the folder"):
        await open_repositories(url, serving=True)


async def test_a_command_does_not_migrate_under_a_running_server(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await open_repositories(url, serving=True)
    later = migrations("sqlite")[-1]
    known = [*migrations("sqlite"), type(later)(later.version + 1, "later", "CREATE TABLE later (id TEXT) STRICT;")]
    monkeypatch.setattr("server.database.sqlite.file.migrations", lambda _: known)
    with pytest.raises(StoreRefused, match="served by an older program"):
        await apply_migrations(url)
    await store.close()
    assert await apply_migrations(url) == ["later"]
    assert await pending_names(url) == []


async def test_a_failing_migration_changes_nothing(url: str, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = migrations("sqlite")[-1]
    broken = type(later)(
        later.version + 1, "broken", "CREATE TABLE later (id TEXT) STRICT; INSERT INTO nowhere VALUES (1);"
    )
    with monkeypatch.context() as patched:
        patched.setattr("server.database.sqlite.file.migrations", lambda _: [*migrations("sqlite"), broken])
        with pytest.raises(StoreRefused, match="no such table: nowhere"):
            await apply_migrations(url)
    store = await open_repositories(url, serving=True)
    assert await usernames(store) == {"user1"}
    await store.close()
    with closing(sqlite3.connect(made)) as connection:
        assert connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'later'").fetchall() == []
