"""What counts and limits attempts at passwords. Times are in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AttemptCounter:
    """Counts the failures since a success, at most `limit`.

    Behind `free` of them one runs at a time, and each wait is longer; before, no more run than could all be wrong.
    """

    key: str
    limit: int
    free: int


@dataclass(frozen=True, slots=True)
class Budget:
    """A number of failures that refills: each costs `cost_ms` of time, and at most `capacity_ms` may be spent ahead."""

    key: str
    cost_ms: int
    capacity_ms: int


@dataclass(frozen=True, slots=True)
class AttemptLimits:
    """All that counts one attempt. `period` is when it was taken (repository.py)."""

    counters: tuple[AttemptCounter, ...] = ()
    budgets: tuple[Budget, ...] = ()
    period: int = 0
