"""A guard for what might never end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

# Of processor time, so a busy machine does not count. What is guarded takes milliseconds, or minutes.
MOST_SECONDS = 10


@contextmanager
def ends() -> Iterator[None]:
    """Fail if the block computes for ever."""

    def give_up(*_: object) -> None:
        raise AssertionError("it computes without an end")

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
