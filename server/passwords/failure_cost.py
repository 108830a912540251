"""Makes every failed check of a password cost the same time, so it does not show which kind of hash the account has.

A store may have several kinds of hash with different costs: imported ones, and ones that were made with another
`passwords.bcrypt_cost`. So a check that fails goes on computing until it has cost as much as the most expensive known
kind, and a twentieth more. The twentieth hides the differences between checks of one kind.

All times are CPU seconds of the thread: on a busy machine the wall time passes before the computing is done.
"""

from __future__ import annotations

import hashlib
import time

# In seconds. A failure is not made longer than this, or one expensive hash in the store would let strangers keep the
# server busy. A check of such a hash takes its own, longer time.
MOST_SECONDS = 1.0
MARGIN = 1.05
# At most so many kinds are kept, the most expensive ones.
KINDS = 64
# The weight of a new time in the moving average. A slower time counts little, since the check may have been held up. A
# quicker time counts more, since then the earlier ones were held up.
_PART = 1 / 8
_QUICKER_PART = 1 / 2
# The least number of iterations at a time, about 0.1 ms.
_LEAST_ITERATIONS = 300


class FailureCost:
    """Learns the cost of each kind of hash, as a multiple of the usual kind, whose time changes with the load."""

    def __init__(self, usual_kind: str, usual_seconds: float) -> None:
        self._usual_kind = usual_kind
        self._usual_seconds = usual_seconds
        self._multiples: dict[str, float] = {}

    def seconds(self) -> float:
        """The CPU seconds that a failure costs now."""
        dearest = max([1.0, *self._multiples.values()])
        return max(self._usual_seconds, min(self._usual_seconds * dearest, MOST_SECONDS)) * MARGIN

    def knows(self, kind: str) -> bool:
        """Whether its cost is known."""
        return kind == self._usual_kind or kind in self._multiples

    def learn(self, kind: str, seconds: float) -> None:
        """Learn from the CPU seconds of one check."""
        if kind == self._usual_kind:
            self._usual_seconds += (seconds - self._usual_seconds) * _PART
            return
        multiple = seconds / self._usual_seconds
        known = self._multiples.get(kind, multiple)
        part = _PART if multiple > known else _QUICKER_PART
        # A new dict, since other threads may be reading the old one.
        multiples = self._multiples | {kind: known + (multiple - known) * part}
        if len(multiples) > KINDS:
            del multiples[min(multiples, key=multiples.__getitem__)]
        self._multiples = multiples

    def spend(self, started: float) -> None:
        """Go on computing until a check, which began at this thread time, has cost as much as a failure.

        It computes half of the remaining time at once, so it needs the interpreter lock only a few times.
        """
        until = started + self.seconds()
        iterations, now = _LEAST_ITERATIONS, time.thread_time()
        while now < until:
            hashlib.pbkdf2_hmac("sha256", b"", b"", iterations)
            before, now = now, time.thread_time()
            iterations = max(_LEAST_ITERATIONS, int(iterations * (until - now) / (now - before) / 2))
