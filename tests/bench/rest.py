"""What a server takes before anybody calls it: the time until it is ready, and its memory."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

from tests.bench.load import cpu_seconds
from tests.bench.workers import processes_of
from tests.figures import Figures
from tests.process.server_process import ServerProcess, serving
from tests.processes import memory_kb

STARTS = 9
_SETTLED_MB = 0.1
_DEADLINE_SECONDS = 10
# Those of `make run`, but a free port.
_DEFAULTS = {"WATCHWORD__LOGS__FORMAT": "json", "WATCHWORD__PASSWORDS__BCRYPT_COST": "12"}


def at_rest(folder: Path, figures: Figures) -> None:
    """With the default settings, on SQLite."""
    folder.mkdir()
    first, *others = (_start(folder) for _ in range(STARTS + 1))
    ready, cpu = (statistics.median(one[place] for one in others) for place in range(2))
    figures.at_most(f"ready after exec, median of {STARTS}", ready, 0.8, "s")
    figures.told("the same, CPU time", cpu, "s")
    figures.told("the first start, with store and account", first[0], "s")
    alone, shared = _memory(folder, 1)
    figures.at_most("memory at rest, Pss", alone, 75, "MB")
    figures.told("the same, Rss", shared, "MB")
    two, four = (_memory(folder, workers)[0] for workers in (2, 4))
    figures.at_most("memory of each further worker, Pss", (four - two) / 2, 45, "MB")
    figures.told("memory of two workers and parent, Pss", two, "MB")


def _start(folder: Path) -> tuple[float, float]:
    """Seconds from exec to the line that it listens: by the clock, and of its CPU time."""
    begun = time.monotonic()
    with serving(folder, log_to=Path(os.devnull), **_DEFAULTS) as server:
        ready, cpu = time.monotonic() - begun, cpu_seconds(server.process.pid)
        server.stop()
    return ready, cpu


def _memory(folder: Path, workers: int) -> tuple[float, float]:
    """Pss and Rss of all its processes (proc(5), smaps_rollup), when they have done what comes with a start."""
    with serving(folder, log_to=Path(os.devnull), WATCHWORD__SERVER__WORKERS=str(workers), **_DEFAULTS) as server:
        deadline = time.monotonic() + _DEADLINE_SECONDS
        before, now = (0.0, 0.0), _all_memory(server)
        while abs(now[0] - before[0]) > _SETTLED_MB and time.monotonic() < deadline:
            time.sleep(0.5)
            before, now = now, _all_memory(server)
        server.stop()
    return now


def _all_memory(server: ServerProcess) -> tuple[float, float]:
    pids = {server.process.pid, *processes_of(server)}
    found = [_sizes(pid) for pid in pids]
    return sum(pss for pss, _ in found), sum(rss for _, rss in found)


def _sizes(pid: int) -> tuple[float, float]:
    sizes = memory_kb(pid)
    return sizes["Pss"] / 1024, sizes["Rss"] / 1024
