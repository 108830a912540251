"""Metrics and traces of a server, if they are switched on. Nothing of them is imported otherwise."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aiohttp import web

from server.cli.hooks import Hooks
from server.core.observer import Observers
from server.http.listening import PORT_SECONDS, begin_to_listen, listen_on
from server.routes import route_table
from server.services import Services, Watchers
from server.settings import Settings
from server.tracing.switch import traces_wanted

if TYPE_CHECKING:
    from server.metrics.metrics import Metrics, SharedMetrics
    from server.tracing.tracing import Tracing

BACKLOG = 64


@dataclass(frozen=True, slots=True)
class Monitoring:
    """What is switched on for the whole server. Workers inherit the socket and the memory of the metrics."""

    traces: bool
    listening: socket.socket | None = None
    shared: SharedMetrics | None = None

    def hooks(self, hooks: Hooks) -> Hooks:
        """These hooks of the parent of workers, with what it does for the metrics."""
        if self.listening is None or self.shared is None:
            return hooks
        shared, listening = self.shared, self.listening

        def stopping() -> None:
            hooks.stopping()
            listening.close()

        def died(number: int, pid: int) -> None:
            hooks.died(number, pid)
            shared.worker_died(number, pid)

        return replace(hooks, stopping=stopping, forked=shared.worker_forked, died=died)

    def of_process(self, settings: Settings, number: int = 0) -> ProcessMonitoring:
        """What this process has of it, after the last fork. Raises ConfigurationError."""
        metrics = None if self.shared is None else self.shared.of_worker(number)
        tracing = None
        if self.traces:
            from server.tracing.tracing import Tracing  # noqa: PLC0415 - it may not be installed

            tracing = Tracing(settings)
        return ProcessMonitoring(metrics, tracing, self.listening)


@contextmanager
def open_monitoring(settings: Settings, workers: int = 1) -> Iterator[Monitoring]:
    """Look what is switched on, and bind the socket of the metrics. Raises ConfigurationError."""
    traces = traces_wanted(os.environ)
    if settings.metrics.port == 0:
        yield Monitoring(traces)
        return
    from server.metrics.metrics import SharedMetrics  # noqa: PLC0415 - nobody pays for what is switched off

    routes = [(row.route.method, row.route.path) for row in route_table(settings).rows]
    host, port = settings.metrics.host, settings.metrics.port
    with listen_on(host, port, "metrics", wait_seconds=PORT_SECONDS) as listening:
        yield Monitoring(traces, listening, SharedMetrics(routes, workers))


class ProcessMonitoring:
    """Metrics and traces of one process."""

    def __init__(self, metrics: Metrics | None, tracing: Tracing | None, listening: socket.socket | None) -> None:
        self._metrics = metrics
        self._tracing = tracing
        self._listening = listening

    @property
    def watchers(self) -> Watchers:
        """Who is told of what this process does."""
        watchers = Watchers() if self._metrics is None else self._metrics.watchers()
        if self._tracing is None:
            return watchers
        observer = self._tracing if watchers.observer is None else Observers(watchers.observer, self._tracing)
        return replace(watchers, observer=observer, around=self._tracing.around)

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """The last spans are sent at the end of this context. It is the outermost, so nothing waits for them."""
        try:
            yield
        finally:
            if self._tracing is not None:
                await self._tracing.close()

    @asynccontextmanager
    async def serving(self, services: Callable[[], Services]) -> AsyncIterator[None]:
        """Scrapes are answered while the context lasts. `services` are those that serve at the moment."""
        if self._metrics is None or self._listening is None:
            yield
            return
        from server.metrics.listener import metrics_runner  # noqa: PLC0415 - as above

        runner = metrics_runner(self._metrics, services)
        try:
            await runner.setup()
            begin_to_listen(self._listening, BACKLOG, "metrics")
            await web.SockSite(runner, self._listening, backlog=BACKLOG).start()
            yield
        finally:
            await runner.cleanup()
