"""Trouble with PostgreSQL: what has to hold during each fault and after it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from server.database.postgres.reach import MOST_TRIALS
from tests.calling import wait_until
from tests.faults.postgres_clients import FROM_MEMORY, HANGS_SECONDS, Answers, clients_of
from tests.faults.postgres_cluster import Cluster
from tests.faults.postgres_faults import FAULTS
from tests.faults.postgres_site import POOL_SIZE, Site, site
from tests.figures import Figures
from tests.volume import IS_FULL

# What docs/http.md, docs/sessions.md and docs/reliability.md promise.
LONGEST_SECONDS = 5.0
BACK_SECONDS = 5.0
UNREADY_SECONDS = 2.0
KNOWN_SECONDS = 1.0
LASTS_SECONDS = 2.0 if IS_FULL else 1.0
WORKERS = (1, 2) if IS_FULL else (1,)
CLIENTS = {"verify": 1, "jwks": 1, "live": 1, "read": 2, "write": 4, "login": 1}
# Lines of the log that a worker may write for one fault, while thousands of requests fail.
MOST_LINES = 25
MOST_GROWTH_MB = 20.0


@dataclass
class Worst:
    """The worst of all faults."""

    unready: float = 0.0
    check: float = 0.0
    ready: float = 0.0
    known: float = 0.0
    growth: float = 0.0
    lines: int = 0


@pytest.fixture(scope="module")
def worst(figures: Figures) -> Iterator[Worst]:
    found = Worst()
    yield found
    figures.at_most("PostgreSQL away, each fault: not ready after", found.unready, UNREADY_SECONDS, "s")
    figures.told("PostgreSQL away, each fault: the longest check of a token", found.check, "s")
    figures.at_most("PostgreSQL back, each fault: ready after", found.ready, BACK_SECONDS, "s")
    figures.at_most("PostgreSQL back, each fault: a logout is known elsewhere after", found.known, KNOWN_SECONDS, "s")
    figures.at_most("PostgreSQL, each fault: memory of a worker grows", found.growth, MOST_GROWTH_MB, "MB")
    figures.at_most("PostgreSQL, each fault: lines of log of a worker", found.lines, MOST_LINES)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, postgres_cluster: Cluster) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site"), postgres_cluster, WORKERS) as found:
        yield found


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if IS_FULL or fault.quick])
def test_during_and_after(here: Site, name: str, figures: Figures, worst: Worst) -> None:
    lines = [len(node.server.log().splitlines()) for node in here.nodes]
    memory = [node.memory_mb() for node in here.nodes]
    asyncio.run(_play(here, name, figures, worst))
    for node, before, memory_before in zip(here.nodes, lines, memory, strict=True):
        new = node.server.log().splitlines()[before:]
        assert "Traceback" not in "\n".join(new)
        assert len(new) <= MOST_LINES * node.workers, "\n".join(new)
        worst.lines = max(worst.lines, len(new) // node.workers)
        worst.growth = max(worst.growth, (node.memory_mb() - memory_before) / node.workers)
    # With the one that listens, and those on trial.
    assert here.connections() <= sum(WORKERS) * (POOL_SIZE + 1 + MOST_TRIALS)
    assert here.forgotten_transactions() == 0


async def _play(here: Site, name: str, figures: Figures, worst: Worst) -> None:
    fault = FAULTS[name]
    async with clients_of(here.nodes, f"user-{list(FAULTS).index(name)}-") as clients:
        await clients.until("write", {200})
        await clients.until("ready", {200})
        async with clients.going_on(CLIENTS):
            await clients.some("refresh")
            begun = clients.forget()
            await asyncio.to_thread(fault.begin, here)
            if fault.reasons:
                worst.unready = max(worst.unready, await clients.until("ready", {503}))
                told = await clients.ask("ready", here.nodes[0])
                assert told.body["reason"] in fault.reasons, told
            # Of those that have begun before, some may have been answered as always.
            meanwhile = clients.forget()
            await asyncio.sleep(LASTS_SECONDS)
            answered = {kind: set(answers.statuses) for kind, answers in meanwhile.items()}
            await asyncio.to_thread(fault.end, here)
            clients.forget()
            back, ready = await asyncio.gather(clients.until("write", {200}), clients.until("ready", {200}))
            worst.ready = max(worst.ready, ready)
            worst.known = max(worst.known, await clients.revoked_everywhere())
        await clients.require_nothing_lost()
    longest = max(answers.longest for kinds in (begun, meanwhile) for answers in kinds.values())
    figures.at_most(f"PostgreSQL, {name}: the longest wait for an answer", longest, LONGEST_SECONDS, "s")
    figures.at_most(f"PostgreSQL, {name}: afterwards a write is acknowledged after", back, BACK_SECONDS, "s")
    worst.check = max(worst.check, meanwhile["verify"].longest)
    for kind, answers in meanwhile.items():
        _require_documented(kind, answers)
    nothing: set[int] = set()
    assert answered.get("read", nothing) <= fault.reads
    assert answered.get("write", nothing) | answered.get("login", nothing) <= fault.writes


def _require_documented(kind: str, answers: Answers) -> None:
    """What was asked during the fault, also what was answered after its end."""
    told = (kind, answers.statuses, answers.codes)
    assert answers.longest < HANGS_SECONDS, told
    assert not answers.without_retry_after, told
    # A commit whose answer was lost, and attempts whose end is not noted yet.
    codes = {"create": {"username_taken"}, "login": {"overloaded"}}.get(kind, set())
    assert set(answers.codes) <= {"store_unavailable"} | codes, told
    if kind in FROM_MEMORY:
        assert set(answers.statuses) == {FROM_MEMORY[kind]}, told


@pytest.mark.skipif(not IS_FULL, reason="it waits for the next beat, which comes each 10 s")
def test_what_runs_in_the_background_goes_on(here: Site) -> None:
    """After all of it each node tells the others of itself."""
    now = here.cluster.value("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
    wait_until(
        lambda: here.cluster.value("SELECT count(*) FROM watchword.nodes WHERE seen_at > $1", now) == len(here.nodes)
    )
