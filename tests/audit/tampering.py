"""What somebody does who can write to the database, past the program."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import asyncpg

from server.database.open import sqlite_path


async def run_sql(url: str, *statements: str) -> None:
    """Run statements on the tables of a store."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(sqlite_path(url))) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        return
    node = await asyncpg.connect(url, server_settings={"search_path": "watchword"})
    for statement in statements:
        await node.execute(statement)
    await node.close()
