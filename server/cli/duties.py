"""What a process that serves does beside it: it tells how it is, and reloads when it is told to.

A server of one process tells the service manager, and reloads at SIGHUP. A worker is told by its parent
(parent_duties.py), in two steps: first all workers prepare, then all take what they have prepared, or none does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import structlog

from server.cli.child import share_of
from server.cli.reload import Reloader, Source, plan
from server.cli.reload_outcome import problems_of
from server.cli.service_manager import ServiceManager, until_well
from server.cli.signals import ServerSignals
from server.cli.worker import Worker
from server.core.tasks import beside
from server.live import Live
from server.settings import Settings
from server.settings.load import settings_of_json

_log = structlog.get_logger("watchword")


class AloneDuties:
    """Those of a server that is one process."""

    def __init__(self, signals: ServerSignals, source: Source, *, migrating: bool = True) -> None:
        self._signals = signals
        self._source = source
        self._migrating = migrating
        self._manager = ServiceManager()

    @property
    def number(self) -> int:
        """The number of the process among those that serve."""
        return 0

    @property
    def given(self) -> Mapping[str, Any]:
        """What `open_services` gets besides the settings."""
        return {"migrating": self._migrating}

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """The whole time: tell the service manager that the event loop answers, also while requests finish."""
        async with beside(self._manager.tell_alive()):
            yield

    @asynccontextmanager
    async def starting(self) -> AsyncIterator[None]:
        """Until requests are accepted: ask the service manager for patience."""
        async with beside(self._manager.tell_starting()):
            yield

    @asynccontextmanager
    async def serving(self, live: Live, address: str) -> AsyncIterator[None]:
        """From then on: reload at SIGHUP, and tell the service manager that the server is ready, and finally ends."""
        reloader = Reloader(live, self._source, self._manager)
        self._signals.on_hangup(reloader.ask)
        try:
            async with beside(reloader.run(), self._manager.tell_ready(live.require_ready, f"listens on {address}")):
                yield
        finally:
            self._manager.stopping()


class WorkerDuties:
    """Those of a worker. Its parent speaks for it to the service manager and in the log."""

    def __init__(self, worker: Worker, signals: ServerSignals) -> None:
        self.worker = worker
        self._signals = signals
        self._settings = worker.child.settings
        # What the parent wants, also before this worker has started.
        self._orders: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._prepared: tuple[int, Settings] | None = None

    @property
    def number(self) -> int:
        """The number of the process among those that serve."""
        return self.worker.child.number or 0

    @property
    def given(self) -> Mapping[str, Any]:
        """What the parent has prepared."""
        inherited = self.worker.child.inherited
        node = inherited.node._replace(worker=self.number)
        return {"inherited": inherited.store, "node": node}

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """Talk with the parent. A SIGHUP is for the parent; the one of a terminal comes to all processes."""
        self._signals.on_hangup(lambda: None)
        self.worker.on("settings", self._orders.put_nowait)
        with self.worker.following():
            yield

    @asynccontextmanager
    async def starting(self) -> AsyncIterator[None]:
        """Nothing: the parent does it."""
        yield

    @asynccontextmanager
    async def serving(self, live: Live, address: str) -> AsyncIterator[None]:
        """Tell that this worker is ready, and follow the parent's orders. The address is the parent's business."""
        del address
        self.worker.tell_ready()
        async with beside(self._follow(live), self._tell_well(live)):
            yield

    async def _tell_well(self, live: Live) -> None:
        await until_well(live.require_ready, lambda _: None)
        self.worker.tell("well")

    async def _follow(self, live: Live) -> None:
        while True:
            order = await self._orders.get()
            number, step = order["number"], order["step"]
            if step == "drop":
                live.drop()
                self._prepared = None
                continue
            problems = []
            if self._prepared is None or self._prepared[0] != number:
                problems = await self._prepare(live, number, order["settings"])
            if step == "take":
                if problems:
                    # The others have taken them. The one that takes the place of this worker starts with them.
                    _log.error("a worker could not reload, so it ends", reason="; ".join(problems))
                    self._signals.ask(1)
                    return
                self._take(live)
            self.worker.tell("settings", {"number": number, "step": step, "problems": problems})

    async def _prepare(self, live: Live, number: int, text: str) -> list[str]:
        try:
            settings = plan(self._settings, settings_of_json(text)).settings
            await live.prepare(share_of(replace(self.worker.child, settings=settings)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker goes on with the old settings
            return problems_of(error)
        self._prepared = (number, settings)
        return []

    def _take(self, live: Live) -> None:
        if self._prepared is not None:
            live.take()
            self._settings = self._prepared[1]
            self._prepared = None
