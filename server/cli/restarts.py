"""When a worker that died is replaced, and when the server gives up."""

from __future__ import annotations

WINDOW_SECONDS = 60.0
# A crash loop is so many deaths in the window of workers that ended by themselves, or in a row of those that were not
# ready. With many workers it is twice their number, since one cause may end all of them at the same moment.
FAILURES = 8
# So many are one, whatever they died of.
DEATHS = 100
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0


class Restarts:
    """Counts deaths. `now` is any clock that only goes on, in seconds."""

    def __init__(self, workers: int) -> None:
        self._failures = max(FAILURES, 2 * workers)
        self._deaths: list[float] = []
        self._crashes: list[float] = []
        self._never_ready = 0

    def note_ready(self) -> None:
        """A worker has become ready, so a worker can."""
        self._never_ready = 0

    def pause_after(self, now: float, *, was_ready: bool, was_killed: bool) -> float | None:
        """Note a death. Returns the seconds until the worker is replaced; None if this is a crash loop.

        `was_killed` says that another process has killed the worker, so it did not end by itself. A worker that was
        ready and is killed is replaced at once.
        """
        self._deaths = _latest(self._deaths, now)
        self._crashes = _latest(self._crashes, now) if not was_killed else self._crashes
        self._never_ready += not was_ready
        if was_ready and was_killed:
            return None if len(self._deaths) >= DEATHS else 0.0
        failures = max(self._never_ready, len(self._crashes))
        if failures >= self._failures or len(self._deaths) >= DEATHS:
            return None
        return min(FIRST_PAUSE_SECONDS * 2.0 ** (failures - 1), LONGEST_PAUSE_SECONDS)


def _latest(times: list[float], now: float) -> list[float]:
    return [*(time for time in times if now - time < WINDOW_SECONDS), now]
