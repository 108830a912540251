"""The listener of `GET /metrics`. It has the edge of the API, so hostile clients get no more out of it than there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from prometheus_client.aiohttp import make_aiohttp_handler

from server.core.tasks import beside
from server.http.cors import Cors
from server.http.edge import Edge
from server.http.responses import add_common_headers
from server.http.runner import EdgeRunner
from server.metrics.collector import AllProcesses, registry_of
from server.metrics.metrics import Metrics
from server.metrics.sampler import Sampler
from server.services import Services

# So many that scrapes may come from several places, and so few that the API never lacks descriptors.
MOST_CONNECTIONS = 32
# How long a scrape may take that is under way when the server ends.
END_SECONDS = 0.5
# Scrapes may take this part of the time of the event loop, however many come.
SCRAPING_PART = 0.1
# The versions of the formats that may be asked for: of the text format 0.0.4 and 1.0.0, of OpenMetrics 0.0.1 and 1.0.0.
_VERSIONS = {"0.0.1", "0.0.4", "1.0.0"}


class Scrapes:
    """Answers scrapes, one after the other. What is shown is as new as the scrape."""

    def __init__(self, metrics: Metrics, sampler: Sampler) -> None:
        self._collector = AllProcesses(metrics.shared)
        # It chooses between the format of Prometheus and OpenMetrics by `Accept`.
        self._write = make_aiohttp_handler(registry_of(self._collector))
        self._sampler = sampler
        self._turn = asyncio.Lock()
        self._next_at = 0.0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """GET /metrics."""
        state = await self._sampler.ask()
        async with self._turn:
            await asyncio.sleep(max(0.0, self._next_at - time.monotonic()))
            self._collector.store = state
            started = time.monotonic()
            response = await self._write(request.clone(headers=_understood(request.headers)))
            now = time.monotonic()
            self._next_at = now + (now - started) / SCRAPING_PART
        add_common_headers(response)
        return response


def _understood(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """The formats of `Accept` that exist, and no other header.

    prometheus-client converts each version to numbers, whatever it is, and repeats it in the answer. aiohttp can't copy
    a request with a header that is not UTF-8.
    """
    wanted = ",".join(headers.getall("Accept", ())).split(",")
    known = ",".join(one for one in wanted if one.isascii() and _versions(one) <= _VERSIONS)
    return CIMultiDict({"Accept": known})


def _versions(media_range: str) -> set[str]:
    parameters = (part.strip() for part in media_range.split(";"))
    return {part.removeprefix("version=") for part in parameters if part.startswith("version=")}


def metrics_runner(metrics: Metrics, services: Callable[[], Services]) -> EdgeRunner:
    """The application of the listener, ready for a site. While it runs, the state of this process is noted."""
    sampler = Sampler(metrics, services)
    app = web.Application()
    app.router.add_get("/metrics", Scrapes(metrics, sampler).answer)

    async def sampling(_: web.Application) -> AsyncIterator[None]:
        async with beside(sampler.run()):
            yield
        metrics.state.end()

    app.cleanup_ctx.append(sampling)
    edge = Edge(clock=services().clock, ids=services().ids, cors=Cors((), ()), log=None, trusted=(), public_url="")
    return EdgeRunner(app, edge, most_connections=MOST_CONNECTIONS, end_seconds=END_SECONDS)
