"""What others notice of attacks, one after the other."""

from __future__ import annotations

import time

from tests.faults.attacked import LEAST_MS
from tests.figures import Figures
from tests.steady_load import Seen, SteadyLoad

QUIET_SECONDS = 1.0


class Watching:
    """Knows when each attack began and ended. The first second is quiet."""

    def __init__(self, figures: Figures, load: SteadyLoad) -> None:
        self._figures = figures
        self._load = load
        self._marks: list[tuple[str, float, float]] = []
        begun = time.monotonic()
        time.sleep(QUIET_SECONDS)
        self._quiet = begun, time.monotonic()
        self._begun = time.monotonic()

    def begin(self) -> None:
        self._begun = time.monotonic()

    def end(self, what: str) -> None:
        # A moment more: the requests that were sent at the end of the attack.
        time.sleep(0.1)
        self._marks.append((what, self._begun, time.monotonic()))
        self._begun = time.monotonic()

    def note(self, what: str, *, hashes: bool = False) -> None:
        """All others were answered as ever; how late, as figures. Call it when the load has ended.

        With `hashes` the threads that hash passwords have worked too, so the work of the process tells nothing.
        """
        quiet = self._load.seen(*self._quiet)
        for attack, begun, ended in self._marks:
            note_others(self._figures, f"{what}: {attack}", quiet, self._load.seen(begun, ended), hashes=hashes)


def note_others(figures: Figures, what: str, quiet: Seen, troubled: Seen, *, hashes: bool = False) -> None:
    assert troubled.statuses.keys() == quiet.statuses.keys() == {204}
    aim = max(LEAST_MS, 2 * quiet.milliseconds(99))
    figures.at_most(f"{what}: others, p99", troubled.milliseconds(99), aim, "ms")
    if not hashes:
        aim = max(LEAST_MS, 2 * quiet.work_milliseconds(99))
        figures.at_most(f"{what}: others, p99 of work", troubled.work_milliseconds(99), aim, "ms")
