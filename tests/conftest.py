"""Fixtures for all tests."""

from __future__ import annotations

from tests.postgres import postgres_server, postgres_url
from tests.postgres_proxy import postgres_proxy
from tests.postgres_standby import standby
from tests.publisher import publisher
from tests.running import api, start_api, store_url

__all__ = ["api", "postgres_proxy", "postgres_server", "postgres_url", "publisher", "standby", "start_api", "store_url"]
