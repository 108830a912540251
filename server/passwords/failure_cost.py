"""What a failed check of a password costs: the same for everybody, whatever hash it was compared with.

Hashes of several kinds are compared in different times: those that were imported, and those that were made here when
`passwords.bcrypt_cost` was another. So each check that fails goes on computing until it has cost as much as the dearest
kind that is known here, and a twentieth more, in which the differences between two checks of one kind disappear.

Time is that of the thread, in seconds: a busy machine would make up for the wall's too soon.
"""

from __future__ import annotations

import hashlib
import time

# A failure never costs more than this, or one dear hash in the store would let strangers keep the server busy.
# For a dearer hash it takes that one's time.
MOST_SECONDS = 1.0
MARGIN = 1.05
# The dearest are kept.
KINDS = 64
# Of a moving average. A check that was held up teaches little, one that was quicker than is known a lot: that one was
# held up before.
_PART = 1 / 8
_QUICKER_PART = 1 / 2
# The least that is computed at once, about 0.1 ms.
_LEAST_ITERATIONS = 300


class FailureCost:
    """Learns what kinds of hash cost, as multiples of the usual one, whose time changes with the load."""

    def __init__(self, usual_kind: str, usual_seconds: float) -> None:
        self._usual_kind = usual_kind
        self._usual_seconds = usual_seconds
        self._multiples: dict[str, float] = {}

    def seconds(self) -> float:
        """What a failure costs now."""
        dearest = max([1.0, *self._multiples.values()])
        return max(self._usual_seconds, min(self._usual_seconds * dearest, MOST_SECONDS)) * MARGIN

    def knows(self, kind: str) -> bool:
        """Whether its cost is known."""
        return kind == self._usual_kind or kind in self._multiples

    def learn(self, kind: str, seconds: float) -> None:
        """Take in what one check has cost."""
        if kind == self._usual_kind:
            self._usual_seconds += (seconds - self._usual_seconds) * _PART
            return
        multiple = seconds / self._usual_seconds
        known = self._multiples.get(kind, multiple)
        part = _PART if multiple > known else _QUICKER_PART
        # Made anew, since other threads may be reading it.
        multiples = self._multiples | {kind: known + (multiple - known) * part}
        if len(multiples) > KINDS:
            del multiples[min(multiples, key=multiples.__getitem__)]
        self._multiples = multiples

    def spend(self, started: float) -> None:
        """Go on computing until a check that began at that thread time has cost as much as a failure does.

        Half of what is left at a time, since each time begins and ends with the interpreter's lock, which requests
        wait for.
        """
        until = started + self.seconds()
        iterations, now = _LEAST_ITERATIONS, time.thread_time()
        while now < until:
            hashlib.pbkdf2_hmac("sha256", b"", b"", iterations)
            before, now = now, time.thread_time()
            iterations = max(_LEAST_ITERATIONS, int(iterations * (until - now) / (now - before) / 2))
