"""What a migration may do while programs of the previous version go on beside it. CONTRIBUTING.md says it in words."""

from __future__ import annotations

import re

from server.database.migration_files import Migration

_CREATED = re.compile(r"create table (?:if not exists )?(\w+)")
_INDEXED = re.compile(r"create (?:unique )?index (?:concurrently )?(?:if not exists )?\w+ on (\w+)")
_CHANGED = re.compile(r"alter table (?:only )?(\w+)|(?:update|delete from) (\w+)")
# What older programs can't go on with, whatever the database.
_BREAKS = {
    r"\bdrop (?!constraint_|not null|default)": "drops something",
    r"\brename\b": "renames something",
    r"\balter (?:column )?\w+ (?:set data )?type\b": "changes the type of a column",
    r"\bset not null\b": "makes a column NOT NULL",
    r"\btruncate\b": "empties a table",
    r"\bcreate unique index (?:concurrently )?(?:if not exists )?\w+ on (?!NEW\b)": "makes what was allowed a conflict",
}
# What keeps requests waiting for as long as a table is read or written.
_LOCKS = {
    r"\badd (?:column )?[^;]*\bdefault\b[^,;]*\(": "adds a column whose default is computed, so the table is rewritten",
    r"\badd (?:column )?[^;]*\bgenerated\b": "adds a column that is computed, so the table is rewritten",
    r"\badd (?:column )?(?!constraint)[^;]*\b(?:unique|primary key|references)\b": "adds a column with a constraint",
    r"\badd constraint (?![^;]*\bnot valid\b)": "adds a constraint without NOT VALID",
    r"\balter (?:column )?\w+ (?:set data )?type\b": "rewrites a table; add another column",
    r"\bset not null\b": "reads a whole table; a CHECK that is validated later does the same",
    r"\block table\b": "locks a table",
    r"\b(?:cluster|vacuum|reindex|refresh)\b": "rewrites a table or an index",
}


def faults(migration: Migration, dialect: str) -> list[str]:
    """Why this migration may not be run beside older programs; nothing if it is marked `contract`."""
    sql = plain(migration.sql)
    new = set(_CREATED.findall(sql))
    statements = [text.strip() for text in sql.split(";") if text.strip()]
    found = [] if migration.needs else _broken(statements, new)
    if dialect == "postgres":
        found += _held_up(migration, statements, new)
    elif not migration.in_transaction:
        found.append("is outside a transaction, which is only for PostgreSQL")
    if migration.needs >= migration.version:
        found.append("needs a migration that does not come before it")
    return found


def plain(sql: str) -> str:
    """Without comments, texts and bodies of functions, in small letters and with single spaces."""
    sql = re.sub(r"--[^\n]*", " ", sql)
    sql = re.sub(r"\$(\w*)\$.*?\$\1\$|'(?:[^']|'')*'", "''", sql, flags=re.DOTALL)
    # The statements in a trigger of SQLite are not those of the migration.
    sql = re.sub(r"\bBEGIN\b.*?\bEND\b", "''", sql, flags=re.DOTALL)
    return " ".join(sql.lower().split())


def _broken(statements: list[str], new: set[str]) -> list[str]:
    old = [text for text in statements if not set(_names(text)) & new]
    found = [why for text in old for pattern, why in _BREAKS.items() if re.search(pattern, text)]
    added = [clause for text in old for clause in re.split(r"\badd\b", text)[1:]]
    if any("not null" in clause and "default" not in clause and "constraint" not in clause for clause in added):
        found.append("adds a column NOT NULL without DEFAULT, which older programs do not fill")
    return found


def _held_up(migration: Migration, statements: list[str], new: set[str]) -> list[str]:
    old = [text for text in statements if not set(_names(text)) & new]
    found = [why for text in old for pattern, why in _LOCKS.items() if re.search(pattern, text)]
    found += ["changes rows of a table that is in use" for text in old if re.match(r"update|delete from", text)]
    for text in old:
        if _INDEXED.match(text) and (migration.in_transaction or "concurrently if not exists" not in text):
            found.append("makes an index of a table that is in use: CONCURRENTLY IF NOT EXISTS, outside a transaction")
    if any("validate constraint" in text for text in statements) and any("not valid" in text for text in statements):
        found.append("validates a constraint in the migration that adds it, so the lock is held meanwhile")
    if not migration.in_transaction and len(statements) != 1:
        found.append("is outside a transaction, and not one statement")
    return found


def _names(statement: str) -> list[str]:
    """The table that the statement changes."""
    found = [*_INDEXED.findall(statement), *(name for pair in _CHANGED.findall(statement) for name in pair)]
    return [name for name in found if name]
