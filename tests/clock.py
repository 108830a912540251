"""A clock that stands still until a test moves it."""

from __future__ import annotations

START_MS = 1_790_000_000_000


class FakeClock:
    def __init__(self, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms
        # What the wall clock was set by, which the other one does not see.
        self._set_by_ms = 0

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic(self) -> float:
        return (self._now_ms - self._set_by_ms) / 1000

    def set_wall(self, seconds: float) -> None:
        """As an operator, or NTP, sets a clock that was wrong."""
        self._now_ms += int(seconds * 1000)
        self._set_by_ms += int(seconds * 1000)

    def go_on_to(self, now_ms: int) -> None:
        """Let time pass until then; to the millisecond, which sums of seconds as floats miss."""
        self._now_ms = now_ms

    def advance(self, seconds: float) -> None:
        self._now_ms += int(seconds * 1000)
