"""What a million users, sessions and revocations and ten million audit records cost: each question beside a thousandth.

    python -m tests.bench.growth [--scale 1] [--only sqlite|postgres] [--part reads|writes|start|server] [--keep FOLDER]

Both stores of a database are asked in turn, in one process, so what differs is the number of rows alone. With --keep
the stores are made there, and used again after a run of `--part reads`, which changes nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from server.app import open_services
from tests.bench.growth import reads, writes
from tests.bench.growth.beside import beside
from tests.bench.growth.filling import settings_of
from tests.bench.growth.measuring import compare
from tests.bench.growth.server import MANY, live_tokens, starts, tokens_of
from tests.bench.growth.side import Side
from tests.bench.growth.stores import Stores, stores
from tests.figures import Figures

PARTS = ("reads", "writes", "start", "server")


@asynccontextmanager
async def sides(made: Stores) -> AsyncIterator[tuple[Side, Side]]:
    """The small store and the large one, with services on them."""
    async with AsyncExitStack() as stack:
        small, large = [
            Side(await stack.enter_async_context(open_services(settings_of(url), serving=True)), size)
            for url, size in ((made.small, made.small_size), (made.large, made.large_size))
        ]
        yield small, large


async def read(kind: str, made: Stores, rounds: int, figures: Figures) -> None:
    async with sides(made) as both:
        await compare(f"{kind}, reads", reads.QUESTIONS, both, rounds, figures)
        await compare(f"{kind}, counts", reads.COUNTS, both, 5)


async def write(kind: str, made: Stores, rounds: int, figures: Figures) -> None:
    async with sides(made) as both:
        await compare(f"{kind}, writes", writes.QUESTIONS, both, min(rounds, 30), figures)


async def afterwards(kind: str, made: Stores, figures: Figures) -> None:
    async with sides(made) as both:
        await compare(f"{kind}, the background", writes.AFTERWARDS, both, 15, figures)


def server(kind: str, made: Stores, folder: Path, figures: Figures) -> None:
    tokens = asyncio.run(tokens_of(made.large, made.large_size, min(MANY, made.large_size.count)))
    live_tokens(made, tokens, folder, figures, kind)
    beside(made, tokens, folder, figures, kind)


def ask(kind: str, made: Stores, folder: Path, options: argparse.Namespace, figures: Figures) -> None:
    wanted = PARTS if options.part is None else (options.part,)
    if "reads" in wanted:
        asyncio.run(read(kind, made, options.rounds, figures))
    if wanted != ("reads",):
        # From here on the stores change, so the next run fills them anew.
        made.note.unlink()
    if "writes" in wanted:
        asyncio.run(write(kind, made, options.rounds, figures))
    if "start" in wanted:
        starts(made, folder, figures, kind)
    if "server" in wanted:
        server(kind, made, folder, figures)
        asyncio.run(afterwards(kind, made, figures))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.growth", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="0.01 for ten thousand users in place of a million")
    parser.add_argument("--rounds", type=int, default=51)
    parser.add_argument("--only", choices=["sqlite", "postgres"], default=None)
    parser.add_argument("--part", choices=PARTS, default=None)
    parser.add_argument("--keep", type=Path, default=None, metavar="FOLDER")
    options = parser.parse_args()
    figures, started = Figures(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ww", dir="/tmp") as temporary:
        folder = options.keep or Path(temporary)
        kinds = ("sqlite", "postgres") if options.only is None else (options.only,)
        with stores(kinds, folder, options.scale) as all_made:
            for kind, made in all_made.items():
                ask(kind, made, folder, options, figures)
    figures.show()
    print(f"in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
