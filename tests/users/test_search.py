"""Finding users by a part of their name: all the ways to the same answer."""

from __future__ import annotations

import itertools
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from server.database.migration_files import Migration, migrations
from server.database.sqlite.file import APPLICATION_ID
from server.database.sqlite.statements import bound
from server.repositories import Repositories, open_repositories
from server.users import search as user_search
from server.users.model import Credentials, User, UserFilter
from server.users.names import search_form
from tests.records import NOW, add_first_user, add_user, delete_user, id_of, new_user, rename

# The users looked at one by one, and how many are many: with these a handful takes every way.
WAYS = [(1000, 2000), (3, 2000), (3, 2), (1, 0)]


def people(count: int) -> list[Credentials]:
    """Names that share pieces, in several scripts and forms, with signs that mean something to SQL."""
    chance = random.Random(5)
    parts = ["an", "Na", "zsu", "É", "e\u0301", "ß", "%", "_", "\\", "'", " ", "山田", "太郎", "ක්‍ෂ", "1", "x"]
    users = []
    for number in range(1, count + 1):
        name = "".join(chance.choices(parts, k=chance.randrange(1, 7)))
        role = chance.choice(["admin", "customer", "customer"])
        users.append(
            new_user(number, username=f"{chance.choice(['anna', 'Xan', '山田'])}{number}", name=name, role=role)
        )
    return users


async def found(store: Repositories, wanted: UserFilter) -> list[str]:
    return [user.id for user in await store.users.list_users(wanted)]


def expected(users: list[User], wanted: UserFilter) -> list[str]:
    """By the words of docs/http.md."""
    assert wanted.text is not None
    return [
        user.id
        for user in users
        if search_form(wanted.text) in search_form(f"{user.username}\n{user.name}")
        and (wanted.role is None or user.role == wanted.role)
        and (wanted.after_id is None or user.id > wanted.after_id)
    ][: wanted.limit]


@pytest.mark.parametrize(("near", "many"), WAYS)
async def test_every_way_finds_the_same(
    store: Repositories, near: int, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_search, "NEAR", near)
    monkeypatch.setattr(user_search, "MANY", many)
    users = people(60)
    for user in users:
        await add_user(store, user)
    texts = ["a", "an", "ANN", "nax", "zsu", "é", "E\u0301", "ss", "%", "_", "\\", "\\%", "'", "' ", "山",
             "山田", "郎", "ක්", "x1", "1", "q", "zq", "zsuzsu", "anna1", "n" * 50, "山田太郎"]  # fmt: skip
    hits = 0
    for text, role, after, limit in itertools.product(texts, (None, "admin"), (None, id_of(20)), (1, 4, 100)):
        wanted = UserFilter(limit=limit, text=text, role=role, after_id=after)
        answer = await found(store, wanted)
        assert answer == expected([new.user for new in users], wanted), wanted
        hits += len(answer)
    assert hits > 1000


@pytest.mark.parametrize(("near", "many"), WAYS)
async def test_a_search_knows_of_changes_at_once(
    store: Repositories, near: int, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_search, "NEAR", near)
    monkeypatch.setattr(user_search, "MANY", many)
    for number in range(1, 9):
        await add_user(store, new_user(number, name="Anna"))
    await rename(store, 8, "Zoë", NOW + 1)
    assert await found(store, UserFilter(limit=9, text="zoe\u0308")) == [id_of(8)]
    assert await found(store, UserFilter(limit=9, text="anna")) == [id_of(number) for number in range(1, 8)]
    await delete_user(store, id_of(8), NOW)
    assert await found(store, UserFilter(limit=9, text="zoë")) == []
    await add_user(store, new_user(9, username="user8", name="Zoë"))
    assert await found(store, UserFilter(limit=9, text="zoë")) == [id_of(9)]
    assert await found(store, UserFilter(limit=9, text="user8")) == [id_of(9)]


async def test_a_refused_user_leaves_nothing_to_be_found(store: Repositories, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_search, "NEAR", 0)
    assert await add_first_user(store, new_user(1, name="First"))
    assert not await add_first_user(store, new_user(2, name="Second"))
    assert await found(store, UserFilter(limit=9, text="second")) == []
    assert await found(store, UserFilter(limit=9, text="first")) == [id_of(1)]


async def test_the_longest_names_are_found_by_their_ends(store: Repositories, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_search, "NEAR", 0)
    await add_user(store, new_user(1, username="u" * 127 + "q", name="\ufdfa" * 30 + "漢" * 169 + "z"))
    await add_user(store, new_user(2))
    for text in ("uq", "漢z", "漢" * 169 + "z", "\ufdfa", "u" * 127 + "q"):
        assert await found(store, UserFilter(limit=9, text=text)) == [id_of(1)], text[:5]


OLD_USER = (
    "INSERT INTO users "
    "(id, username, username_key, name, search_text, role, password_changed_at, created_at, updated_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
)
OLD_MIGRATION = "INSERT INTO schema_migrations (version, name, sha256, applied_at) VALUES ($1, $2, $3, $4)"


def _old_rows(dialect: str) -> list[tuple[str, list[tuple[str | int, ...]]]]:
    """What a store held before there was an index: statements and their rows."""
    rows: list[tuple[str | int, ...]] = [
        (id_of(number), f"Old{number}", f"old{number}", "Zoë", f"old{number}\nzoë", "admin", NOW, NOW, NOW)
        for number in (2, 3)
    ]
    done: list[tuple[str | int, ...]] = [
        (migration.version, migration.name, migration.sha256, NOW) for migration in _old_migrations(dialect)
    ]
    return [(OLD_USER, rows), (OLD_MIGRATION, done)]


def _old_migrations(dialect: str) -> list[Migration]:
    return [migration for migration in migrations(dialect) if migration.version < 5]


def _remove(path: Path) -> None:
    path.unlink()


async def _make_old_store(url: str, path: Path) -> None:
    if url.startswith("sqlite"):
        _remove(path)
        with closing(sqlite3.connect(path)) as connection, connection:
            for migration in _old_migrations("sqlite"):
                connection.executescript(migration.sql)
            for sql, rows in _old_rows("sqlite"):
                connection.executemany(sql, [bound(row) for row in rows])
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("PRAGMA user_version = 4")
        return
    database = await asyncpg.connect(url, server_settings={"search_path": "watchword"})
    await database.execute("DROP SCHEMA IF EXISTS watchword CASCADE")
    await database.execute("CREATE SCHEMA watchword")
    for migration in _old_migrations("postgres"):
        await database.execute(migration.sql)
    for sql, rows in _old_rows("postgres"):
        await database.executemany(sql, rows)
    await database.close()


async def test_users_from_before_there_was_an_index_are_found(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_search, "NEAR", 0)
    await _make_old_store(store_url, tmp_path / "watchword.db")
    store = await open_repositories(store_url, serving=True)
    try:
        await add_user(store, new_user(4, name="Zoë"))
        await rename(store, 3, "Łuk", NOW + 1)
        assert await found(store, UserFilter(limit=9, text="zo")) == [id_of(2), id_of(4)]
        assert await found(store, UserFilter(limit=9, text="łuk")) == [id_of(3)]
        credentials = await store.users.find_credentials("OLD2")
        assert credentials is not None
        assert credentials.user.username == "Old2"
    finally:
        await store.close()


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_the_numbers_of_the_index_outlive_a_vacuum(
    store: Repositories, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_search, "NEAR", 0)
    for number in range(1, 6):
        await add_user(store, new_user(number, name=f"Person {number}x"))
    await delete_user(store, id_of(2), NOW)
    with closing(sqlite3.connect(tmp_path / "watchword.db", isolation_level=None)) as connection:
        connection.execute("VACUUM")
        # The index is whole: this fails if it is not.
        connection.execute("INSERT INTO user_grams (user_grams) VALUES ('integrity-check')")
    assert await found(store, UserFilter(limit=9, text="4x")) == [id_of(4)]
    assert await found(store, UserFilter(limit=9, text="2x")) == []
