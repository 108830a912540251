"""The metrics of a server, if they are switched on: made before its workers, and served by each of them."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aiohttp import web

from server.cli.supervisor import Hooks
from server.http.listening import listen_on
from server.routes import route_table
from server.services import Services, Watchers
from server.settings import Settings

if TYPE_CHECKING:
    from server.metrics.metrics import Metrics, SharedMetrics

BACKLOG = 64


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Where the metrics listen, and their memory. Workers inherit both."""

    listening: socket.socket
    shared: SharedMetrics


@contextmanager
def open_monitoring(settings: Settings, workers: int = 1) -> Iterator[Monitoring | None]:
    """Bind the socket of the metrics; None if there are none. Raises ConfigurationError."""
    if settings.metrics.port == 0:
        yield None
        return
    from server.metrics.metrics import SharedMetrics  # noqa: PLC0415 - nobody pays for what is switched off

    routes = [(row.route.method, row.route.path) for row in route_table(settings).rows]
    with listen_on(settings.metrics.host, settings.metrics.port, "metrics") as listening:
        yield Monitoring(listening, SharedMetrics(routes, workers))


def with_metrics(hooks: Hooks, monitoring: Monitoring | None) -> Hooks:
    """What the parent of workers does for the metrics besides."""
    if monitoring is None:
        return hooks
    shared, listening = monitoring.shared, monitoring.listening

    def stopping() -> None:
        hooks.stopping()
        listening.close()

    def died(number: int, pid: int) -> None:
        hooks.died(number, pid)
        shared.worker_died(number, pid)

    return replace(hooks, stopping=stopping, forked=shared.worker_forked, died=died)


def watchers_of(metrics: Metrics | None) -> Watchers:
    """Who is told of what this process does."""
    return Watchers() if metrics is None else metrics.watchers()


@asynccontextmanager
async def serving_metrics(
    monitoring: Monitoring | None, metrics: Metrics | None, services: Callable[[], Services]
) -> AsyncIterator[None]:
    """Answer scrapes while the context lasts. `services` are those that serve at the moment."""
    if monitoring is None or metrics is None:
        yield
        return
    from server.metrics.listener import metrics_runner  # noqa: PLC0415 - as above

    runner = metrics_runner(metrics, services)
    try:
        await runner.setup()
        await web.SockSite(runner, monitoring.listening, backlog=BACKLOG).start()
        yield
    finally:
        await runner.cleanup()
