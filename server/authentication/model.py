"""Who was signed in, and what counts and limits attempts at passwords. Times are in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass

from server.users.model import Credentials


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Somebody who has just proved who they are. `methods` are how, in the words of RFC 8176 section 2.

    `credentials` are those that it was proved with: a session is opened only if they are still in force. `device_id` is
    that of the device cookie, None for a device that is not known.
    """

    credentials: Credentials
    methods: tuple[str, ...]
    device_id: str | None = None


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
    """All that counts one attempt. `period` is the number of the one in which it was taken (repository.py)."""

    counters: tuple[AttemptCounter, ...] = ()
    budgets: tuple[Budget, ...] = ()
    period: int = 0

    def in_order(self) -> list[AttemptCounter | Budget]:
        """In the order in which their rows are locked."""
        return sorted((*self.counters, *self.budgets), key=lambda one: one.key)


@dataclass(frozen=True, slots=True)
class StoredCount:
    """What is counted under a key. `retry_at`: of a counter, when its wait ends; of a budget, when it is full again."""

    failures: int
    retry_at: int
