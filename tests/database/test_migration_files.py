"""Migrations beside programs of the previous version: what their files say, and what they may do."""

from __future__ import annotations

import re

import pytest

from server.database.migration_files import LAST_WITHOUT_MARKS, Migration, migrations
from server.database.pending_migrations import nodes_that_stop
from tests.database.migration_rules import faults
from tests.environment import ROOT


def made(sql: str, version: int = 20) -> Migration:
    return Migration(version, f"{version:04}_made", sql)


def test_both_databases_have_the_same_migrations_with_the_same_marks() -> None:
    sqlite, postgres = migrations("sqlite"), migrations("postgres")
    assert [(one.version, one.name, one.needs) for one in sqlite] == [
        (one.version, one.name, one.needs) for one in postgres
    ]
    assert [one.version for one in sqlite] == list(range(1, len(sqlite) + 1))


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_programs_of_the_previous_version_go_on_beside_the_migrations(dialect: str) -> None:
    judged = [one for one in migrations(dialect) if one.version > LAST_WITHOUT_MARKS]
    assert judged
    assert {one.name: faults(one, dialect) for one in judged} == {one.name: [] for one in judged}


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE users;",
        "DROP INDEX users_by_role;",
        "ALTER TABLE users DROP COLUMN name;",
        "ALTER TABLE users RENAME TO people;",
        "ALTER TABLE users RENAME COLUMN name TO label;",
        "ALTER TABLE users ALTER COLUMN role TYPE INTEGER USING 1;",
        "ALTER TABLE users ALTER COLUMN role SET DATA TYPE INTEGER;",
        "ALTER TABLE users ALTER COLUMN disabled_at SET NOT NULL;",
        "ALTER TABLE users ADD COLUMN phone TEXT NOT NULL;",
        "ALTER TABLE users ADD COLUMN phone TEXT,\n  ADD COLUMN age BIGINT NOT NULL;",
        "CREATE UNIQUE INDEX users_by_name ON users (name);",
        "-- Not a mark: contract\nCREATE TABLE later (id BIGINT);\nDROP TABLE users;",
    ],
)
def test_what_breaks_older_programs_has_to_be_marked(sql: str) -> None:
    for dialect in ("sqlite", "postgres"):
        assert faults(made(sql), dialect) != []
    assert faults(made(f"-- contract: needs migration 19\n{sql}"), "sqlite") == []


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE INDEX users_by_name ON users (name);",
        "-- outside a transaction\nCREATE INDEX CONCURRENTLY users_by_name ON users (name);",
        "-- outside a transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS a ON users (id);\nCREATE TABLE b (a INT);",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS users_by_name ON users (name);",
        "ALTER TABLE users ADD COLUMN made TIMESTAMP DEFAULT clock_timestamp();",
        "ALTER TABLE users ADD COLUMN phone TEXT UNIQUE;",
        "ALTER TABLE users ADD COLUMN inviter TEXT REFERENCES users (id);",
        "ALTER TABLE users ADD COLUMN upper TEXT GENERATED ALWAYS AS (upper(name)) STORED;",
        "ALTER TABLE users ADD CONSTRAINT fair CHECK (created_at > 0);",
        (
            "ALTER TABLE users ADD CONSTRAINT fair CHECK (created_at > 0) NOT VALID;\n"
            "ALTER TABLE users VALIDATE CONSTRAINT fair;"
        ),
        "UPDATE users SET name = username;",
        "DELETE FROM sessions;",
        "LOCK TABLE users;",
    ],
)
def test_what_holds_requests_up_is_refused_even_if_it_is_marked(sql: str) -> None:
    assert faults(made(sql), "postgres") != []
    assert faults(made(f"-- contract: needs migration 19\n{sql}"), "postgres") != []


@pytest.mark.parametrize(
    "sql",
    [
        (
            "CREATE TABLE later (id BIGINT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users (id));\n"
            "CREATE UNIQUE INDEX later_by_user ON later (user_id);\nINSERT INTO later VALUES (1, 'x');"
        ),
        "ALTER TABLE users ADD COLUMN phone TEXT;",
        "ALTER TABLE users ADD COLUMN verified BIGINT NOT NULL DEFAULT 0;",
        "ALTER TABLE users ADD CONSTRAINT fair CHECK (created_at > 0) NOT VALID;",
        "ALTER TABLE users VALIDATE CONSTRAINT fair;",
        "ALTER TABLE users ALTER COLUMN name DROP NOT NULL;",
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN DELETE FROM sessions; RETURN NEW; END$$;\n"
            "CREATE TRIGGER t AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION f();"
        ),
    ],
)
def test_what_adds_needs_no_mark(sql: str) -> None:
    assert faults(made(sql), "postgres") == []
    assert made(sql).needs == 0


def test_an_index_of_a_table_in_use_is_made_outside_a_transaction() -> None:
    index = made("-- Why.\n-- outside a transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS by_name ON users (name);")
    assert not index.in_transaction
    assert faults(index, "postgres") == []
    assert faults(index, "sqlite") != []


def test_a_mark_stands_in_the_comment_at_the_head() -> None:
    assert made("-- Drops what 18 replaced.\n-- contract: needs migration 18\nDROP TABLE old;").needs == 18
    assert made("CREATE TABLE later (id BIGINT);\n-- contract: needs migration 18\n").needs == 0
    assert made("-- A contract: this is prose.\nCREATE TABLE later (id BIGINT);").needs == 0


@pytest.mark.parametrize("mark", ["-- contract", "-- contract: 18", "-- Contract: needs migration 18", "--contract: x"])
def test_a_mark_that_is_misspelt_is_refused(mark: str) -> None:
    with pytest.raises(ValueError, match="can't be read"):
        _ = made(f"{mark}\nDROP TABLE old;").needs


def test_which_nodes_stop() -> None:
    adds, drops = made("", 12), made("-- contract: needs migration 11\n", 13)
    assert nodes_that_stop([adds]) == 0
    assert nodes_that_stop([adds, drops]) == 0, "the store is at 11 already, and so are its servers"
    assert nodes_that_stop([made("", 11), adds, drops]) == 11
    assert nodes_that_stop(migrations("postgres")[5:]) == LAST_WITHOUT_MARKS


def test_statements_name_their_columns() -> None:
    """In PostgreSQL "cached plan must not change result type" ends one that does not, when a column is added."""
    unnamed = re.compile(r"\b(SELECT|RETURNING)\s+\*|\bINSERT INTO \S+ (VALUES|SELECT)\b")
    found = {
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in (ROOT / "server").rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if unnamed.search(line)
    }
    assert found == set()
