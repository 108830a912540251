"""A server with metrics, and what a scrape of it finds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp.test_utils import TestClient
from prometheus_client.parser import text_string_to_metric_families

from server.metrics.metrics import Metrics
from tests.running import Api

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: str) -> Samples:
    """All samples of the format of Prometheus."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


def requests(samples: Samples, method: str, route: str, status: int) -> float | None:
    """How many were answered so."""
    return value(
        samples,
        "http_server_request_duration_seconds_count",
        http_request_method=method,
        http_route=route,
        http_response_status_code=str(status),
    )


@dataclass
class Watched:
    """A server with its metrics."""

    api: Api
    metrics: Metrics
    scraper: TestClient[Any, Any]

    async def text(self, accept: str = "text/plain") -> str:
        response = await self.scraper.get("/metrics", headers={"Accept": accept})
        assert response.status == 200
        return await response.text()

    async def samples(self) -> Samples:
        return read(await self.text())


def without_comments(text: str) -> str:
    return re.sub(r"(?m)^#.*\n", "", text)
