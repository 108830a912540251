"""Several servers under several kinds of requests, in interleaved rounds.

Servers with one process have a core for themselves, and their requests a second are counted by the clock. Two workers
would need two cores for themselves; where there are only two, their rates are those of workers.py: by CPU time for what
only computes, by the clock for what waits for a disk.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import uvloop

from tests.bench.cores import Cores, on
from tests.bench.load import CONNECTIONS
from tests.bench.workers import Served

# A login at the cost of the default setting takes a quarter of a second of a core.
LOGINS = 4

VERIFY, USER, REFRESH, LOGIN = KINDS = ("GET /verify", "GET /users/{id}", "POST /refresh", "POST /login")


class Cost(NamedTuple):
    """What one kind of request costs at one server: medians of the rounds."""

    per_second: float
    cpu_us: float


@dataclass
class Target:
    """One kind of request at one server."""

    name: str
    kind: str
    served: Served
    total: int = 0

    async def open(self, seconds: float) -> None:
        await self.served.open()
        if self.kind == LOGIN:
            self.total = LOGINS
            return
        warm = await self.served.client.measure(CONNECTIONS * 8)
        self.total = max(CONNECTIONS * 4, int(warm.per_second * seconds))
        await self.served.client.measure(self.total)

    @property
    def per_second(self) -> list[float]:
        by_clock = self.kind == REFRESH or not self.served.beside_client
        return self.served.by_clock if by_clock else self.served.by_cpu

    @property
    def cost(self) -> Cost:
        return Cost(statistics.median(self.per_second), statistics.median(self.served.cpu_us))


async def _play(targets: list[Target], rounds: int, seconds: float) -> None:
    for target in targets:
        await target.open(seconds)
    for _ in range(rounds):
        for target in targets:
            await target.served.play(target.total)
    for target in targets:
        target.served.client.close()


@dataclass
class Comparison:
    """All targets of a run, by server and kind."""

    cores: Cores
    targets: dict[tuple[str, str], Target] = field(default_factory=dict)

    def play(self, targets: list[Target], rounds: int, seconds: float = 0) -> None:
        self.targets |= {(one.name, one.kind): one for one in targets}
        print(f"measuring {len(targets)} kinds of requests and servers, {rounds} times in turn", flush=True)
        with on(self.cores.load):
            uvloop.run(_play(targets, rounds, seconds))

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(name for name, _ in self.targets))

    def cost(self, name: str, kind: str) -> Cost | None:
        target = self.targets.get((name, kind))
        return None if target is None else target.cost

    def ratio(self, kind: str, name: str, other: str, of: Callable[[Target], list[float]]) -> float | None:
        """Of neighbours in the same round; the median. None if one of them is missing."""
        one, two = self.targets.get((name, kind)), self.targets.get((other, kind))
        if one is None or two is None:
            return None
        return statistics.median(first / second for first, second in zip(of(one), of(two), strict=True))


def per_second(target: Target) -> list[float]:
    return target.per_second


def by_cpu(target: Target) -> list[float]:
    """Requests a second if each process had a core for itself."""
    return target.served.by_cpu


def cpu_us(target: Target) -> list[float]:
    return target.served.cpu_us
