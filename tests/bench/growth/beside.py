"""What requests notice of long work: `audit verify`, exports, `doctor`, `store backup`, GET /stats and the purge.

Checked requests come at a steady rate from a process of their own, refreshes from a thread of this one. What they take
beside each piece of work stands beside what they take in the quiet.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import asyncpg
from rich.console import Console
from rich.table import Table

from server.database.postgres.schema import DEFAULT_SCHEMA
from tests.bench.growth.rows import DAY_MS
from tests.bench.growth.server import Tokens, server_on, settings
from tests.bench.growth.stores import Stores
from tests.environment import environment
from tests.figures import Figures
from tests.process.server_process import ServerProcess
from tests.steady_load import SteadyLoad, steady_load

REFRESHES_A_SECOND = 50
# How long a piece of long work is watched, at most.
WATCHED_SECONDS = 10.0
# The 99th percentile may be half as long again as in the quiet, or so long if that is more.
MOST, UNNOTICED_MS = 1.5, 5.0
# From when to when (time.monotonic) something was done.
Times = dict[str, tuple[float, float]]


@dataclass
class Refreshing:
    """Refreshes one session after the other, at a steady rate, until `ended` is set."""

    address: str
    tokens: list[str]
    ended: threading.Event = field(default_factory=threading.Event)
    answers: list[tuple[float, float]] = field(default_factory=list)
    failed: str = ""

    def run(self) -> None:
        host, _, port = self.address.removeprefix("http://").partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        tokens, due = list(self.tokens), time.monotonic()
        while not self.ended.is_set():
            due += 1 / REFRESHES_A_SECOND
            time.sleep(max(0.0, due - time.monotonic()))
            token = tokens.pop(0)
            connection.request(
                "POST", "/refresh", json.dumps({"refresh_token": token}), {"Content-Type": "application/json"}
            )
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                self.failed = f"{response.status} {body!r}"
                return
            # From when it should have been sent: others would have waited behind it.
            self.answers.append((due, time.monotonic() - due))
            tokens.append(json.loads(body)["refresh_token"])
        self.tokens = tokens

    def milliseconds(self, begin: float, end: float, percent: float) -> float:
        taken = sorted(seconds for sent, seconds in self.answers if begin <= sent < end)
        assert taken, "nothing was refreshed in this time"
        return taken[min(len(taken) - 1, int(len(taken) * percent / 100))] * 1000


@contextmanager
def refreshing(address: str, tokens: list[str]) -> Iterator[Refreshing]:
    load = Refreshing(address, tokens)
    thread = threading.Thread(target=load.run)
    thread.start()
    try:
        yield load
    finally:
        load.ended.set()
        thread.join()
    assert not load.failed, load.failed


def _command(url: str, folder: Path, *arguments: str) -> None:
    """A command, to its end or as long as it is watched."""
    process = subprocess.Popen(
        [sys.executable, "-m", "server", *arguments],
        cwd=folder,
        env=environment(**settings(url)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, told = process.communicate(timeout=WATCHED_SECONDS)
        assert process.returncode == 0, told
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        process.communicate()


def _counting(server: ServerProcess, admin: str) -> None:
    """GET /stats all the time: the server counts in a twentieth of it."""
    end = time.monotonic() + WATCHED_SECONDS
    while time.monotonic() < end:
        status, body = server.call("GET", "/stats", token=admin)
        assert status == 200, body
        time.sleep(0.02)


def beside(made: Stores, tokens: Tokens, folder: Path, figures: Figures, kind: str) -> None:
    """The large store alone."""
    url = made.large
    times: Times = {}

    def watch(name: str, do: Callable[[], None]) -> None:
        begun = time.monotonic()
        do()
        times[name] = (begun, time.monotonic())

    with (
        server_on(url, folder) as server,
        steady_load(server.address, tokens.access[0], pid=server.process.pid) as checks,
        refreshing(server.address, tokens.refresh) as writes,
    ):
        # The first ones open files and fill caches.
        time.sleep(1)
        watch("quiet", lambda: time.sleep(WATCHED_SECONDS))
        for command in ("audit verify", "audit export", "users export", "doctor"):
            watch(command, partial(_command, url, folder, *command.split()))
        watch("GET /stats", lambda: _counting(server, tokens.admin))
        if kind == "sqlite":
            watch("store backup", lambda: _command(url, folder, "store", "backup", f"{folder}/backup.db"))
            Path(f"{folder}/backup.db").unlink(missing_ok=True)
    loads = [(checks, writes)]
    before = _due(made)
    with (
        server_on(url, folder, module="tests.bench.growth.purging") as server,
        steady_load(server.address, tokens.access[0], pid=server.process.pid) as checks,
        refreshing(server.address, writes.tokens) as writes,
    ):
        watch("purge", lambda: time.sleep(WATCHED_SECONDS / 2))
        left = _due(made)
    loads.append((checks, writes))
    figures.told(f"{kind}, sessions that the purge deletes a second", (before - left) / (WATCHED_SECONDS / 2))
    if left == 0:
        figures.told(f"{kind}, the purge", "was done before the end of its watch: too few rows")
    _tell(times, loads, figures, kind)


def _due(made: Stores) -> int:
    """How many sessions are over and not deleted yet."""
    sql = f"SELECT COUNT(*) FROM sessions WHERE ended_at < {made.large_size.now - DAY_MS}"  # noqa: S608 - our number
    if made.large.startswith("sqlite"):
        with closing(sqlite3.connect(made.large.removeprefix("sqlite:///"))) as connection:
            return int(connection.execute(sql).fetchone()[0])

    async def ask() -> int:
        connection = await asyncpg.connect(made.large, server_settings={"search_path": DEFAULT_SCHEMA})
        try:
            return int(await connection.fetchval(sql))
        finally:
            await connection.close()

    return asyncio.run(ask())


def _tell(times: Times, loads: list[tuple[SteadyLoad, Refreshing]], figures: Figures, kind: str) -> None:
    """The times of both kinds of requests beside each piece of work."""
    # CPU: what the server used between a request and its answer, so how long its event loop was kept.
    columns = ("GET /verify, 50 %", "99 %", "CPU, 99 %", "POST /refresh, 50 %", "99 %")
    table = Table(f"{kind}, ms", *columns, box=None, pad_edge=False)
    worst = {"GET /verify": (0.0, ""), "POST /refresh": (0.0, "")}
    quiet: dict[str, float] = {}
    for name, (begin, end) in times.items():
        checks, writes = loads[name == "purge"]
        seen = checks.seen(begin, end)
        assert set(seen.statuses) == {204}, seen.statuses
        found = [seen.milliseconds(50), seen.milliseconds(99), seen.work_milliseconds(99)]
        found += [writes.milliseconds(begin, end, percent) for percent in (50, 99)]
        table.add_row(name, *(f"{one:.2f}" for one in found))
        for what, slow in zip(worst, (found[1], found[4]), strict=True):
            if name == "quiet":
                quiet[what] = slow
            worst[what] = max(worst[what], (slow, name))
    Console(soft_wrap=True).print(table)
    print(flush=True)
    for what, (slow, name) in worst.items():
        figures.told(f"{kind}, 99 % of {what} in the quiet", quiet[what], "ms")
        figures.at_most(f"{kind}, 99 % of {what} beside {name}", slow, max(MOST * quiet[what], UNNOTICED_MS), "ms")
