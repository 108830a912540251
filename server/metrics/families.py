"""Kinds of metrics, on numbers that lie side by side in memory (memory.py).

The label values of a metric are known when it is declared. So the place of every number is known too, in every process
alike, and counting is a look-up and an addition.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString

Row: TypeAlias = "memoryview[float]"


@dataclass(frozen=True, kw_only=True)
class Family:
    """A metric: `series` has the values of its labels, each combination that there can be."""

    name: str
    documentation: str
    labels: tuple[str, ...] = ()
    series: Sequence[tuple[object, ...]] = ((),)
    places: dict[tuple[object, ...], int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", {values: place for place, values in enumerate(self.series)})

    @property
    def cells(self) -> int:
        """How many numbers it has in a row."""
        return len(self.series)

    def collect(self, rows: Sequence[Row]) -> Metric:
        """The metric, put together from the rows of all processes."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Counter(Family):
    """Counts. All series are shown from the start, so the first event is a step from 0."""

    def on(self, row: Row) -> Counting:
        """Count in that part of a row."""
        return Counting(self, row)

    def collect(self, rows: Sequence[Row]) -> Metric:
        """The sums."""
        metric = CounterMetricFamily(self.name, self.documentation, labels=self.labels)
        for values, total in zip(self.series, _sums(rows), strict=True):
            metric.add_metric([str(value) for value in values], total)
        return metric


@dataclass(frozen=True)
class Gauge:
    """A number that is found out at a scrape (collector.py)."""

    name: str
    documentation: str

    def metric(self, value: float) -> Metric:
        """The metric with this value."""
        return GaugeMetricFamily(self.name, self.documentation, value)


@dataclass(frozen=True, kw_only=True)
class Histogram(Family):
    """Counts by size. In a row: how often each series was observed, then for each its buckets and its sum.

    With `sparse`, series that were never observed are not shown.
    """

    bounds: tuple[float, ...]
    sparse: bool = False

    @property
    def width(self) -> int:
        """The numbers of a series: a bucket for each bound, one above them, and the sum."""
        return len(self.bounds) + 2

    @property
    def cells(self) -> int:
        """The counts stand together in front, so a scrape need not look at the buckets of series that have none."""
        return len(self.series) * (1 + self.width)

    def on(self, row: Row) -> Observing:
        """Count in that part of a row."""
        return Observing(self, row)

    def collect(self, rows: Sequence[Row]) -> Metric:
        """The sums, the buckets as Prometheus wants them: each has all that is smaller."""
        metric = HistogramMetricFamily(self.name, self.documentation, labels=self.labels)
        names = [*map(floatToGoString, self.bounds), "+Inf"]
        counts = _sums([row[: len(self.series)] for row in rows])
        for place, values in enumerate(self.series):
            if counts[place] or not self.sparse:
                start = len(self.series) + place * self.width
                *buckets, total = _sums([row[start : start + self.width] for row in rows])
                shown = [str(value) for value in values]
                metric.add_metric(shown, list(zip(names, _running(buckets), strict=True)), total)
        return metric


class Counting:
    """A counter of one process."""

    __slots__ = ("_places", "_row")

    def __init__(self, family: Counter, row: Row) -> None:
        self._places = family.places
        self._row = row

    def add(self, *values: object) -> None:
        """Count one. Raises KeyError for values that are not in the `series`."""
        self._row[self._places[values]] += 1.0


class Observing:
    """A histogram of one process."""

    __slots__ = ("_bounds", "_places", "_row", "_start", "_width")

    def __init__(self, family: Histogram, row: Row) -> None:
        self._places = family.places
        self._row = row
        self._bounds = family.bounds
        self._start = len(family.series)
        self._width = family.width

    def observe(self, amount: float, *values: object) -> None:
        """Count one of that size. Raises KeyError for values that are not in the `series`."""
        place = self._places[values]
        row, start = self._row, self._start + place * self._width
        row[place] += 1.0
        row[start + bisect_left(self._bounds, amount)] += 1.0
        row[start + self._width - 1] += amount


def _sums(rows: Sequence[Row]) -> list[float]:
    return [sum(numbers) for numbers in zip(*(row.tolist() for row in rows), strict=True)]


def _running(numbers: Iterable[float]) -> list[float]:
    total, totals = 0.0, []
    for number in numbers:
        total += number
        totals.append(total)
    return totals
