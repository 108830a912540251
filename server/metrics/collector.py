"""Puts the numbers of all processes together, whenever the registry is read."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from server import __version__
from server.metrics.metrics import SharedMetrics


@dataclass(frozen=True, slots=True)
class StoreState:
    """What was asked at this scrape. None: it could not be found out now, so it is left out."""

    ready: bool
    sessions_live: int | None
    mails_waiting: int | None
    signing_key_age_seconds: float | None


class AllProcesses(Collector):
    """The metrics of the whole server. Any of its processes can answer for all."""

    def __init__(self, shared: SharedMetrics) -> None:
        self._shared = shared
        self.store = StoreState(ready=False, sessions_live=0, mails_waiting=0, signing_key_age_seconds=0.0)

    def describe(self) -> Iterable[Metric]:
        """All names, for the registry. It asks once, before the first scrape."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """All metrics, as they are now."""
        shared, catalogue = self._shared, self._shared.catalogue
        for family in catalogue.counted:
            yield family.collect([catalogue.of(family, row) for row in shared.rows])
        live = [(number, state) for number, state in enumerate(shared.states) if state.pid]
        now = time.monotonic()
        yield catalogue.workers.metric(len(live))
        yield catalogue.hash_queue_depth.metric(sum(state.queue_depth for _, state in live))
        yield catalogue.revocation_lag.metric(max((state.revocation_lag(now) for _, state in live), default=0.0))
        yield catalogue.event_loop_lag.metric(max((state.event_loop_lag(now) for _, state in live), default=0.0))
        yield from self._store_metrics()
        yield _build_info()
        yield from _process_metrics([(number, state.pid) for number, state in live])

    def _store_metrics(self) -> Iterator[Metric]:
        store, catalogue = self.store, self._shared.catalogue
        yield catalogue.ready.metric(store.ready)
        if store.sessions_live is not None:
            yield catalogue.sessions_live.metric(store.sessions_live)
        if store.mails_waiting is not None:
            yield catalogue.mails_waiting.metric(store.mails_waiting)
        if store.signing_key_age_seconds is not None:
            yield catalogue.signing_key_age.metric(store.signing_key_age_seconds)


def registry_of(collector: AllProcesses) -> CollectorRegistry:
    """A registry of our own: the global one has metrics of the process that answers, whichever that is."""
    registry = CollectorRegistry()
    registry.register(collector)
    return registry


def _build_info() -> Metric:
    """What runs: always 1, with versions as labels."""
    info = GaugeMetricFamily("watchword_build_info", "What runs", labels=("version", "python_version"))
    info.add_metric([__version__, platform.python_version()], 1)
    return info


def _process_metrics(processes: Sequence[tuple[int, int]]) -> Iterator[Metric]:
    """CPU, memory and descriptors of each process, as prometheus-client finds them, with the number of the worker."""
    merged: dict[str, Metric] = {}
    for number, pid in processes:
        for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
            whole = merged.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
            for sample in metric.samples:
                whole.samples.append(sample._replace(labels={"worker": str(number)}))
    yield from merged.values()
