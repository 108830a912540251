"""Servers with metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from server.metrics.listener import metrics_runner
from server.metrics.metrics import SharedMetrics
from server.routes import route_table
from server.settings import Settings
from tests.metrics.scraping import Watched
from tests.running import EdgeTestServer, StartApi

StartWatched = Callable[..., Awaitable[Watched]]


@pytest.fixture
async def start_watched(start_api: StartApi, aiohttp_client: AiohttpClient) -> AsyncIterator[StartWatched]:
    async with AsyncExitStack() as stack:

        async def start(**changes: Any) -> Watched:
            routes = [(row.route.method, row.route.path) for row in route_table(Settings()).rows]
            metrics = SharedMetrics(routes, 1).of_worker()
            api = await start_api(watchers=metrics.watchers(), **changes)
            scraper: TestClient[Any, Any] = await aiohttp_client(
                EdgeTestServer(metrics_runner(metrics, lambda: api.live.services))
            )
            stack.push_async_callback(scraper.close)
            return Watched(api, metrics, scraper)

        yield start


@pytest.fixture
async def watched(start_watched: StartWatched) -> Watched:
    return await start_watched()
