"""Asks both stores in turn, in this process, so what differs is the number of rows alone; and shows the plans."""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import asyncpg
from rich.console import Console
from rich.table import Table

from server.database.postgres.connection import Connection
from server.database.postgres.schema import DEFAULT_SCHEMA
from server.database.sqlite.group import ThreadTransaction
from server.database.sqlite.reader import Reader
from server.database.sqlite.statements import bound
from tests.bench.growth.side import Ask, Side
from tests.figures import Figures

# The first turns are for the caches.
WARM = 5
MOST = 1.5
Statement = tuple[str, tuple[Any, ...]]


async def compare(
    title: str, questions: Mapping[str, Ask], sides: tuple[Side, Side], rounds: int, figures: Figures | None = None
) -> None:
    """The medians of each question. With `figures` the ratio has to be at most 1.5; plans of those above are shown."""
    small, large = sides
    table = Table(title, f"{small.size.count:,}", f"{large.size.count:,}", "times", box=None, pad_edge=False)
    above: dict[str, list[Statement]] = {}
    worst, worst_name = 0.0, ""
    for name, ask in questions.items():
        taken: list[list[float]] = [[], []]
        for turn in range(rounds + WARM):
            for place, side in enumerate(sides):
                started = time.perf_counter()
                await ask(side, turn)
                if turn >= WARM:
                    taken[place].append(time.perf_counter() - started)
        few, many = (statistics.median(part) * 1000 for part in taken)
        table.add_row(name, f"{few:.3f} ms", f"{many:.3f} ms", f"{many / few:.2f}")
        if many / few > worst:
            worst, worst_name = many / few, name
        if many / few > MOST and figures is not None:
            with recorded() as statements:
                await ask(large, rounds + WARM)
            above[name] = statements
    Console(soft_wrap=True).print(table)
    if figures is not None:
        figures.at_most(f"{title}, times: {worst_name}", worst, MOST)
    for name, statements in above.items():
        print(f"\n{name}:")
        for statement in statements:
            print("\n".join(await plan(large.services.settings.store.url, statement)))
    print(flush=True)


@contextmanager
def recorded() -> Iterator[list[Statement]]:
    """The statements that are run meanwhile, each once, in whatever driver."""
    found: dict[str, Statement] = {}

    def note(sql: str, parameters: tuple[Any, ...]) -> None:
        if not sql.startswith(("COMMIT", "BEGIN", "SAVEPOINT", "RELEASE", "PRAGMA", "SELECT pg_notify")):
            found.setdefault(sql, (sql, parameters))

    places: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
        (Reader, "fetch", lambda sql, parameters: note(sql, tuple(parameters))),
        (ThreadTransaction, "execute", lambda sql, *parameters: note(sql, parameters)),
        (Connection, "fetch", lambda sql, *parameters, **_: note(sql, parameters)),
    )
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in places]
    try:
        for (owner, name, original), (_, _, tell) in zip(kept, places, strict=True):
            setattr(owner, name, _telling(original, tell))
        statements: list[Statement] = []
        yield statements
        statements.extend(found.values())
    finally:
        for owner, name, original in kept:
            setattr(owner, name, original)


def _telling(original: Callable[..., Any], tell: Callable[..., Any]) -> Callable[..., Any]:
    def told(self: Any, *arguments: Any, **options: Any) -> Any:
        tell(*arguments, **options)
        return original(self, *arguments, **options)

    return told


async def plan(url: str, statement: Statement) -> list[str]:
    """How the database goes about it, without doing it."""
    sql, parameters = statement
    lines = [f"  {sql[:300]}"]
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as reader:
            reader.create_function("files_amiss", 0, lambda: False)
            found = reader.execute(f"EXPLAIN QUERY PLAN {sql}", bound(parameters)).fetchall()
        return [*lines, *(f"      {row[3]}" for row in found)]
    connection = await asyncpg.connect(url, server_settings={"search_path": DEFAULT_SCHEMA})
    try:
        found = await connection.fetch(f"EXPLAIN {sql}", *parameters)
    finally:
        await connection.close()
    return [*lines, *(f"      {row[0]}" for row in found)]
