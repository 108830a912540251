"""Fills stores with millions of rows, as fast as the databases take them: without indexes and triggers at first.

The keys of the store are its own, so its audit log is a chain that `audit verify` accepts, and its tokens are valid.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing

import asyncpg
from pydantic import SecretStr

from server.app import open_services
from server.audit.model import AuditHead
from server.database.postgres.schema import DEFAULT_SCHEMA
from server.database.steps import in_steps
from server.settings import Settings
from server.settings.tree import KeySettings, PasswordSettings, RegistrationSettings, StoreSettings
from tests.bench.growth.rows import AUDIT, FEW, TABLES, Rows, Size, audit_events
from tests.mail.outboxes import MAIL
from tests.running import MASTER_KEY

# The index of all pieces of names, as the migration makes it.
_GRAMS = """
INSERT INTO user_grams (rowid, grams)
SELECT number, (
    SELECT group_concat(hex(substr(search_text, place, size)))
    FROM (SELECT 1 AS size UNION ALL SELECT 2 UNION ALL SELECT 3) JOIN places ON place <= length(search_text) + 1 - size
) FROM users
"""
_QUICK = (
    "PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -500000", "PRAGMA threads = 2",
    "PRAGMA foreign_keys = OFF",
)  # fmt: skip


def settings_of(url: str) -> Settings:
    """Cheap hashes; with mail, so that what is mailed is written, and open to all."""
    return Settings(
        store=StoreSettings(url=url),
        keys=KeySettings(master_key=(SecretStr(MASTER_KEY),)),
        passwords=PasswordSettings(bcrypt_cost=4),
        registration=RegistrationSettings(mode="open"),
        mail=MAIL,
    )


async def audit_key(url: str) -> bytes:
    """Makes the store and its keys, if it is not there. The key of its audit log."""
    async with open_services(settings_of(url), serving=True) as services:
        return services.keys.audit_key


async def _note_times(url: str) -> None:
    """As the background of a server does it."""
    async with open_services(settings_of(url), serving=False) as services:
        await in_steps(services.repositories.audit.note_times)


class _Heads:
    """The end of the chain that was made last."""

    def __init__(self) -> None:
        self.head = AuditHead(0, "")

    def note(self, head: AuditHead) -> None:
        self.head = head


async def fill(url: str, size: Size, tables: Iterable[str] = (*TABLES, "audit_events")) -> None:
    """Make a store with these tables filled. It may be there already, without rows."""
    key, started = await audit_key(url), time.monotonic()
    if url.startswith("sqlite"):
        await asyncio.to_thread(_fill_sqlite, url.removeprefix("sqlite:///"), size, list(tables), key)
    else:
        await _fill_postgres(url, size, list(tables), key)
    await _note_times(url)
    kind = url.partition(":")[0]
    print(f"{kind}: {size.count:,} users and what belongs to them in {time.monotonic() - started:.0f} s", flush=True)


def _made(table: str, size: Size, key: bytes, heads: _Heads) -> tuple[Sequence[str], Rows]:
    if table == "audit_events":
        return AUDIT, audit_events(size, key, heads.note)
    columns, rows = TABLES[table]
    return columns, rows(size)


def _fill_sqlite(path: str, size: Size, tables: Sequence[str], key: bytes) -> None:
    heads = _Heads()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in _QUICK:
            connection.execute(pragma)
        dropped = [
            row
            for row in connection.execute(
                "SELECT type, name, sql, tbl_name FROM sqlite_master "
                "WHERE type IN ('trigger', 'index') AND sql IS NOT NULL"
            )
            if row[3] in tables
        ]
        for kind, name, _, _ in dropped:
            connection.execute(f"DROP {kind} {name}")
        for table in tables:
            columns, rows = _made(table, size, key, heads)
            connection.execute("BEGIN")
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our names
            connection.executemany(_insert(table, columns), rows)
            connection.execute("COMMIT")
        if "users" in tables:
            connection.execute("UPDATE users SET number = rowid")
            connection.execute(_GRAMS)
            connection.execute(_disable("number", size))
        if "audit_events" in tables:
            connection.execute("UPDATE audit_head SET seq = ?, hash = ?", (heads.head.seq, heads.head.hash))
            connection.execute("DELETE FROM audit_times")
        for kind in ("index", "trigger"):
            for made, _, sql, _ in dropped:
                if made == kind:
                    connection.execute(sql)
        connection.execute("PRAGMA journal_mode = WAL")


def _disable(number: str, size: Size) -> str:
    """Few, of the second half of the users, since questions change those of the first one."""
    which = f"{number} > {size.count // 2} AND {number} % {size.count // FEW // 2} = 7"
    return f"UPDATE users SET disabled_at = created_at WHERE {which}"  # noqa: S608 - all of it stands here


def _insert(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608


async def _fill_postgres(url: str, size: Size, tables: Sequence[str], key: bytes) -> None:
    heads = _Heads()
    connection = await asyncpg.connect(url, server_settings={"search_path": DEFAULT_SCHEMA}, command_timeout=3600)
    try:
        for setting in ("maintenance_work_mem = '512MB'", "synchronous_commit = off"):
            await connection.execute(f"SET {setting}")
        indexes = await connection.fetch(
            "SELECT indexname, indexdef FROM pg_indexes "
            "WHERE schemaname = $1 AND tablename = ANY ($2) AND indexdef NOT LIKE '%UNIQUE%'",
            DEFAULT_SCHEMA,
            list(tables),
        )
        for index in indexes:
            await connection.execute(f"DROP INDEX {index['indexname']}")
        for table in tables:
            columns, rows = _made(table, size, key, heads)
            # With its foreign keys, whose rows are all there in the end.
            await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            await connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our names
            await connection.copy_records_to_table(table, records=rows, columns=columns)
        if "users" in tables:
            await connection.execute(_disable("substring(username FROM '[0-9]+')::int", size))
        if "audit_events" in tables:
            await connection.execute("UPDATE audit_head SET seq = $1, hash = $2", heads.head.seq, heads.head.hash)
            await connection.execute("DELETE FROM audit_times")
        for index in indexes:
            await connection.execute(index["indexdef"])
        for table in tables:
            await connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")
            await connection.execute(f"VACUUM ANALYZE {table}")
    finally:
        await connection.close()
