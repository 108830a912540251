"""Fixtures for all tests."""

from __future__ import annotations

from tests.postgres import postgres_server, postgres_url
from tests.publisher import publisher
from tests.running import api, start_api, store_url

__all__ = ["api", "postgres_server", "postgres_url", "publisher", "start_api", "store_url"]
