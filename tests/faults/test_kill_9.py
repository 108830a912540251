"""kill -9 while clients write, of whatever is there to be killed: what was acknowledged is there, and nothing is half.

A server of one process, its workers, their parent, a server that is starting, and PostgreSQL itself.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import select
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest

from server.app import open_services
from tests.calling import wait_until
from tests.environment import environment
from tests.faults.postgres_cluster import Cluster
from tests.figures import Figures
from tests.listening import free_port
from tests.process.clients import until
from tests.process.server_process import ServerProcess, serving
from tests.process.test_workers import ADDRESS, settings, workers_of
from tests.process.wholeness import Snapshot, require_facts, require_whole, snapshot_of_file, snapshot_of_postgres
from tests.process.write_load import SETTINGS, Writers
from tests.running import settings_with
from tests.volume import IS_FULL

ROUNDS = 100 if IS_FULL else 5
# A server of one process is killed, the next one has two workers until its parent is killed.
KINDS = ("server", "worker", "worker", "worker", "parent")
# Of PostgreSQL in some rounds, in place of a worker.
KILLS_DATABASE = 5
# A server is killed while it starts.
KILLS_START = 4
WRITERS = 4
# Acknowledged between two rounds.
MOST_ANSWERS = 30 if IS_FULL else 20
READY_SECONDS = 2.0
FOLLOWED_SECONDS = 5.0


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


@dataclass
class Site:
    """A store, and the servers on it, one after the other."""

    folder: Path
    store_url: str
    stack: ExitStack
    chance: random.Random
    cluster: Cluster | None = None
    # How long it took until a write was acknowledged again, by what was killed.
    back: dict[str, list[float]] = field(default_factory=dict)
    logs: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._port = free_port()

    def settings(self, workers: int) -> dict[str, str]:
        mine = {ADDRESS: str(self._port), "WATCHWORD__MAIL__URL": f"file://{self.folder}/mails"}
        return SETTINGS | settings(self.store_url, workers) | mine

    def start(self, workers: int) -> ServerProcess:
        self.logs.append(self.folder / f"log-{len(self.logs)}")
        opened = serving(self.folder, log_to=self.logs[-1], module="server", **self.settings(workers))
        return self.stack.enter_context(opened)

    def start_and_kill(self) -> None:
        """Somewhere between its first instruction and its first requests."""
        starting = subprocess.Popen(
            [sys.executable, "-m", "server"],
            cwd=self.folder,
            env=environment(**self.settings(1)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            starting.wait(self.chance.uniform(0.2, 1.2))
        except subprocess.TimeoutExpired:
            starting.kill()
            starting.wait()

    async def snapshot(self, *, at_rest: bool) -> Snapshot:
        """With the audit log verified as the product does it."""
        if self.cluster is not None:
            await self._verify(self.store_url)
            return await snapshot_of_postgres(self.store_url)
        path = Path(self.store_url.removeprefix("sqlite:///"))
        if not at_rest:
            await self._verify(self.store_url)
            return await asyncio.to_thread(snapshot_of_file, path)
        # A copy, so the next server finds what the killed one has left.
        copy = self.folder / "copy"
        copy.mkdir()
        for ending in ("", "-wal"):
            if path.with_name(path.name + ending).exists():
                shutil.copy(path.with_name(path.name + ending), copy)
        await self._verify(f"sqlite:///{copy}/{path.name}")
        found = await asyncio.to_thread(snapshot_of_file, copy / path.name)
        shutil.rmtree(copy)
        return found

    async def _verify(self, url: str) -> None:
        async with open_services(settings_with(url), serving=False) as services:
            verdict = await services.audit.verify()
        assert verdict.fault is None

    async def require_whole(self, writers: Writers, *, at_rest: bool = False) -> None:
        facts = list(writers.known.facts)
        found = await self.snapshot(at_rest=at_rest)
        require_whole(found)
        require_facts(found, facts)


async def _kill(site: Site, server: ServerProcess, kind: str, writers: Writers) -> ServerProcess:
    """Kill, and bring back what a supervisor would bring back. The server that runs then."""
    ends = [os.pidfd_open(pid) for pid in workers_of(server)] if kind == "parent" else []
    killed = site.chance.choice(workers_of(server)) if kind == "worker" else server.process.pid
    if kind == "database":
        assert site.cluster is not None
        await asyncio.to_thread(site.cluster.kill)
        await asyncio.to_thread(site.cluster.start)
    else:
        os.kill(killed, signal.SIGKILL)
    begun = time.monotonic()
    if kind in {"server", "parent"}:
        server.process.wait()
        await site.require_whole(writers, at_rest=True)
        if site.chance.randrange(KILLS_START) == 0:
            await asyncio.to_thread(site.start_and_kill)
        begun = time.monotonic()
        server = await asyncio.to_thread(site.start, 2 if kind == "server" else 1)
    site.back.setdefault(kind, []).append(await writers.back_after(begun))
    for end in ends:
        assert select.select([end], [], [], 0)[0], "a worker is left"
        os.close(end)
    if kind == "worker":
        await until(lambda: len(workers_of(server)) == 2 and killed not in workers_of(server))
    if kind in {"worker", "database"}:
        await site.require_whole(writers)
    return server


async def _play(site: Site, server: ServerProcess) -> Writers:
    writers = Writers(server.address, server.log_in("admin", server.admin_password())["token"])
    kinds = itertools.islice(itertools.cycle(KINDS), ROUNDS)
    async with writers.opened(), writers.writing(WRITERS):
        for number, kind in enumerate(kinds):
            await writers.some_answers(site.chance.randrange(1, MOST_ANSWERS))
            is_database = site.cluster is not None and kind == "worker" and number % KILLS_DATABASE == 1
            server = await _kill(site, server, "database" if is_database else kind, writers)
    async with writers.opened():
        await writers.require_nothing_lost()
    await site.require_whole(writers)
    await _require_mails(site, writers)
    assert server.stop() == 0
    return writers


async def _require_mails(site: Site, writers: Writers) -> None:
    """All that was acknowledged arrives; what was on its way during a kill may arrive twice."""
    if site.cluster is not None:
        # Those of killed servers would last for minutes.
        connection = await asyncpg.connect(site.store_url)
        await connection.execute("UPDATE watchword.mails SET claimed_until = 0")
        await connection.close()
    wanted = {fact.subject for fact in writers.known.facts if fact.what == "mail"}
    assert wanted

    def arrived() -> bool:
        texts = [path.read_text() for path in (site.folder / "mails").glob("*.eml")]
        return all(any(f"To: {recipient}" in text for text in texts) for recipient in wanted)

    await asyncio.to_thread(wait_until, arrived)


def _show(figures: Figures, site: Site, writers: Writers, database: str) -> None:
    for kind, seconds in site.back.items():
        aim = FOLLOWED_SECONDS if kind == "database" else READY_SECONDS
        what = f"kill -9 on {database}: {kind} killed {len(seconds)} times, a write is acknowledged again"
        figures.at_most(f"{what}, median", statistics.median(seconds), aim, "s")
        figures.at_most(f"{what}, longest", max(seconds), aim, "s")
    figures.told(f"kill -9 on {database}: acknowledged changes, none of them lost or half", len(writers.known.facts))
    for log in site.logs:
        assert "Traceback" not in log.read_text(), log.read_text()[-5000:]


def test_kill_9_on_sqlite_loses_nothing_and_leaves_nothing_half(
    tmp_path: Path, stack: ExitStack, figures: Figures
) -> None:
    site = Site(tmp_path, f"sqlite:///{tmp_path}/watchword.db", stack, random.Random(1))
    _show(figures, site, asyncio.run(_play(site, site.start(1))), "SQLite")


def test_kill_9_on_postgresql_loses_nothing_and_leaves_nothing_half(
    tmp_path: Path, postgres_cluster: Cluster, stack: ExitStack, figures: Figures
) -> None:
    site = Site(tmp_path, postgres_cluster.url(), stack, random.Random(2), postgres_cluster)
    _show(figures, site, asyncio.run(_play(site, site.start(1))), "PostgreSQL")
