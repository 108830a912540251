"""Fixtures for all tests."""

from __future__ import annotations

import gc

from tests.postgres import migrated_postgres_url, postgres_server, postgres_url
from tests.postgres_proxy import postgres_proxy
from tests.postgres_standby import standby
from tests.publisher import publisher
from tests.running import api, start_api, store_url
from tests.stores import open_another, path, store, url

__all__ = [
    "api",
    "migrated_postgres_url",
    "open_another",
    "path",
    "postgres_proxy",
    "postgres_server",
    "postgres_url",
    "publisher",
    "standby",
    "start_api",
    "store",
    "store_url",
    "url",
]


def pytest_collection_finish() -> None:
    """Thousands of collected tests stay to the end, so no collection of garbage has to look at them again."""
    gc.collect()
    gc.freeze()
