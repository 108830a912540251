"""When a mail that could not be sent is tried again."""

from __future__ import annotations

# After the first attempt, the second … The last one goes on.
_WAITS_SECONDS = (10, 30, 60, 120, 300, 900, 3600, 2 * 3600, 4 * 3600, 8 * 3600)
# Each wait is up to so much shorter or longer: what failed together is not tried together again.
_JITTER = 0.1
# No wait is longer.
LONGEST_WAIT_MS = int(_WAITS_SECONDS[-1] * (1 + _JITTER) * 1000)


def wait_ms(attempts: int, jitter: float) -> int:
    """How long to wait after so many attempts, at least one. `jitter` is a random number from 0 to 1."""
    wait = _WAITS_SECONDS[min(attempts, len(_WAITS_SECONDS)) - 1]
    return int(wait * (1 - _JITTER + 2 * _JITTER * jitter) * 1000)
