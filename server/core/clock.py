"""Times, and whether the wall clock can be trusted. All code gets a Clock as an argument, so tests never sleep."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from watchword_client.clock import Clock, SystemClock

__all__ = ["EARLIEST_MS", "Clock", "Steadiness", "SystemClock", "read_rfc3339", "rfc3339"]

# 2026-09-01. This program is newer: a wall clock before that time is wrong.
EARLIEST_MS = 1_788_220_800_000

# Time synchronisation (NTP) may move the wall clock by up to this much.
_STEP_MS = 60_000
_STEADY_SECONDS = 600


class Steadiness:
    """Whether the wall clock may decide what to delete: it agrees with the monotonic clock for ten minutes now.

    A clock that is ahead, after a start or for a moment, must not delete anything: it would be lost when the clock is
    right again.
    """

    def __init__(self, clock: Clock, longest_token_seconds: int) -> None:
        """Wait at least as long as an access token lives, since a purged revocation would make revoked ones valid."""
        self._clock = clock
        self._seconds = max(_STEADY_SECONDS, longest_token_seconds)
        self._begin()

    def require(self, longest_token_seconds: int) -> None:
        """Access tokens live so long from now on. Those from before may live longer, so the wait never gets shorter."""
        self._seconds = max(self._seconds, longest_token_seconds)

    def _begin(self) -> None:
        self._wall_ms, self._monotonic = self._clock.now_ms(), self._clock.monotonic()

    def holds(self) -> bool:
        """Whether it may decide now. If the wall clock was set since the last call, the ten minutes start again."""
        passed = self._clock.monotonic() - self._monotonic
        if abs(self._clock.now_ms() - self._wall_ms - passed * 1000) > _STEP_MS:
            self._begin()
            return False
        return passed >= self._seconds


def rfc3339(at_ms: int) -> str:
    """Write epoch milliseconds as RFC 3339 UTC with three decimals, e.g. `2026-11-23T20:06:37.042Z`."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_rfc3339(text: str) -> int:
    """Epoch milliseconds of a time in the form of RFC 3339, which includes an offset. Raises ValueError."""
    if _RFC3339.fullmatch(text) is None:
        raise ValueError("no time of RFC 3339")
    try:
        return (datetime.fromisoformat(text.upper()) - _EPOCH) // timedelta(milliseconds=1)
    except OverflowError:
        raise ValueError("out of range") from None
