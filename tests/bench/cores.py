"""Which cores the servers of a comparison run on, and which the load generator."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

Group = frozenset[int]


@dataclass(frozen=True)
class Cores:
    """`pair` is for servers with two workers. A machine with one core has it in all of them, and nothing is pinned."""

    server: Group
    load: Group
    pair: Group

    @classmethod
    def of_this_machine(cls) -> Cores:
        usable = sorted(os.sched_getaffinity(0))
        first, second = usable[0], usable[min(1, len(usable) - 1)]
        pair = {first, usable[2]} if len(usable) > 2 else {first, second}
        return cls(frozenset({first}), frozenset({second}), frozenset(pair))

    @property
    def pair_shares_with_load(self) -> bool:
        return bool(self.pair & self.load)

    def __str__(self) -> str:
        if self.server == self.load:
            return "one core for everything, so requests a second are too low"
        pair = " and ".join(map(str, sorted(self.pair)))
        return (
            f"servers on core {min(self.server)}, those with two workers on {pair}; load generator and PostgreSQL on "
            f"{min(self.load)}"
        )


@contextlib.contextmanager
def on(cores: AbstractSet[int]) -> Iterator[None]:
    """This thread, and the processes that it starts meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
