"""What a server takes while it runs, by /proc, and lines through these figures."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.processes import memory_kb, with_children


def slope(points: list[tuple[float, float]]) -> float:
    """By least squares, in units a second."""
    if len(points) < 2:
        return 0.0
    return statistics.linear_regression(*zip(*points, strict=True)).slope


@dataclass
class Samples:
    """Each kind of figure, with the seconds since the start."""

    pid: int
    folder: Path
    begun: float = field(default_factory=time.monotonic)
    taken: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def add(self, what: str, value: float) -> None:
        self.taken.setdefault(what, []).append((time.monotonic() - self.begun, value))

    def take(self) -> None:
        """All that the system knows."""
        everything = with_children(self.pid)
        memory = [memory_kb(pid) for pid in everything]
        self.add("Rss", sum(one["Rss"] for one in memory) * 1024)
        self.add("Pss", sum(one["Pss"] for one in memory) * 1024)
        for what, folder in (("descriptors", "fd"), ("threads", "task")):
            self.add(what, sum(len(list(Path(f"/proc/{pid}/{folder}").iterdir())) for pid in everything))
        log = self.folder / "watchword.db-wal"
        if log.exists():
            self.add("WAL", log.stat().st_size)

    def second_half(self, what: str) -> list[tuple[float, float]]:
        """Of what was measured."""
        points = self.taken[what]
        middle = (points[0][0] + points[-1][0]) / 2
        return [point for point in points if point[0] >= middle]

    def per_ten_minutes(self, what: str) -> float:
        """How much it grows in the second half."""
        return slope(self.second_half(what)) * 600

    def most(self, what: str) -> float:
        return max(value for _, value in self.taken[what])

    def growth(self, what: str) -> float:
        """Median of the last quarter against that of the quarter before. A short run has too much noise for a line."""
        points = [value for _, value in self.second_half(what)]
        if len(points) < 4:
            # What stays is in each of the last ones, what a busy moment has is not.
            return min(points[len(points) // 2 :]) - points[0]
        middle = len(points) // 2
        return statistics.median(points[middle:]) - statistics.median(points[:middle])

    def has_grown(self, what: str) -> bool:
        """Whether the least of the last quarter is above all of the first half.

        So what goes up and down with the requests has not, as on a machine that is more or less busy.
        """
        points = [value for _, value in self.taken[what]]
        quarter = len(points) // 4
        return quarter > 0 and min(points[-quarter:]) > max(points[: 2 * quarter])
