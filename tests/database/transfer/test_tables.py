"""Every table of either database is moved, or named as not moved."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import asyncpg

from server.database.open import apply_migrations
from server.database.postgres.schema import DEFAULT_SCHEMA
from server.database.store_state import NOT_MOVED, NOT_MOVED_COLUMNS
from server.database.transfer import places
from server.database.transfer.table import Table, in_order

# The types that both databases give and take as the same Python values.
TYPES = {"INTEGER": {"bigint", "integer"}, "TEXT": {"text"}, "BLOB": {"bytea"}}
# The index for search, which triggers fill.
FILLED_BY_TRIGGERS = "user_grams"


async def tables_of(url: str) -> dict[str, Table]:
    async with places.source_at(url) as source, source.reading():
        return await source.tables()


async def test_all_tables_are_moved_or_named(tmp_path: Path, migrated_postgres_url: str) -> None:
    path = tmp_path / "watchword.db"
    await apply_migrations(f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    in_sqlite = {name for name in names if not name.startswith(("sqlite_", FILLED_BY_TRIGGERS))}
    postgres = await asyncpg.connect(migrated_postgres_url)
    rows = await postgres.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", DEFAULT_SCHEMA)
    in_postgres = {row[0] for row in rows}
    moved = await tables_of(f"sqlite:///{path}")
    assert moved.keys() == (await tables_of(migrated_postgres_url)).keys()
    assert in_sqlite - moved.keys() == NOT_MOVED.keys()
    assert in_postgres - moved.keys() == NOT_MOVED.keys() - {"places"}
    # A name in both lists would be of a table that is moved after all.
    assert not moved.keys() & NOT_MOVED.keys()

    # A column that only one database has is named, and the others have types that can be copied.
    types = {
        (name, column): {kind}
        for name in moved
        for column, kind in connection.execute("SELECT name, type FROM pragma_table_info(?)", [name])
    }
    sql = "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = $1"
    there = {(row[0], row[1]): row[2] for row in await postgres.fetch(sql, DEFAULT_SCHEMA) if row[0] in moved}
    assert types.keys() ^ there.keys() == NOT_MOVED_COLUMNS.keys()
    for place in types.keys() & there.keys():
        assert there[place] in TYPES[next(iter(types[place]))], place
    connection.close()
    await postgres.close()


async def test_both_databases_describe_a_table_alike(tmp_path: Path, migrated_postgres_url: str) -> None:
    await apply_migrations(f"sqlite:///{tmp_path}/watchword.db")
    sqlite, postgres = await tables_of(f"sqlite:///{tmp_path}/watchword.db"), await tables_of(migrated_postgres_url)
    for name, table in sqlite.items():
        other = postgres[name]
        assert set(table.moved_columns) == set(other.moved_columns)
        assert (table.key, table.refers_to, table.counts_up) == (other.key, other.refers_to, other.counts_up)
        assert table.key


def test_a_table_comes_after_those_that_it_refers_to() -> None:
    def table(name: str, *refers_to: str) -> Table:
        return Table(name, ("id",), ("id",), frozenset(refers_to))

    tables = [table("a", "c"), table("b"), table("c", "d", "c", "elsewhere"), table("d")]
    names = [one.name for one in in_order(tables)]
    assert names == ["b", "d", "c", "a"]
    # While audit_head is empty, the trigger that follows each record has nothing to do.
    names = [one.name for one in in_order([table("audit_head"), table("audit_events")])]
    assert names == ["audit_events", "audit_head"]
