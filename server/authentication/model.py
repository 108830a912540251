"""The result of authentication, and the limits of attempts at passwords. Times are in milliseconds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from server.database.driver import Transaction
from server.users.model import Credentials

# RFC 8176 section 2.
PASSWORD_METHOD = "pwd"  # noqa: S105 - the name of a method
OTP_METHOD = "otp"


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Somebody who has just proved who they are. `methods` are how, in the words of RFC 8176 section 2.

    `credentials` are those that it was proved with: a session is opened only if they are still in force. `device_id` is
    that of the device cookie, None for a device that is not known. `use` uses up what counts only once, such as a
    mailed code, in the transaction that opens the session and locks the row of the user; False if that is gone.
    """

    credentials: Credentials
    methods: tuple[str, ...]
    device_id: str | None = None
    use: Callable[[Transaction], Awaitable[bool]] | None = None


@dataclass(frozen=True, slots=True)
class AttemptCounter:
    """Counts the failures since the last success, at most `limit`.

    After `free` failures one attempt runs at a time, and each wait is longer. Before, several may run, but together
    with the failures not more than `free`.
    """

    key: str
    limit: int
    free: int


@dataclass(frozen=True, slots=True)
class Budget:
    """A number of failures that refills with time: each costs `cost_ms`, and `capacity_ms` is the full budget."""

    key: str
    cost_ms: int
    capacity_ms: int


@dataclass(frozen=True, slots=True)
class AttemptLimits:
    """The counters and budgets of an attempt. It began in the period with the number `period` (repository.py)."""

    counters: tuple[AttemptCounter, ...] = ()
    budgets: tuple[Budget, ...] = ()
    period: int = 0

    def in_order(self) -> list[AttemptCounter | Budget]:
        """Counters and budgets in the order in which their rows are locked."""
        return sorted((*self.counters, *self.budgets), key=lambda one: one.key)


@dataclass(frozen=True, slots=True)
class StoredCount:
    """What is counted under a key. `retry_at`: of a counter, when its wait ends; of a budget, when it is full again."""

    failures: int
    retry_at: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How many wrong passwords are counted for an account, by whom, and since which time more are looked at again.

    At the limit none are looked at until a success by another way, or a new password.
    """

    by: str
    failures: int
    limit: int
    retry_at: int
