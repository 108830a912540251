"""Fixtures for all tests."""

from __future__ import annotations

import gc
import os
import sys

import pytest

from tests.memory import keep_temporary_files_there
from tests.postgres import migrated_postgres_url, postgres_server, postgres_url
from tests.postgres_proxy import postgres_proxy
from tests.postgres_standby import standby
from tests.publisher import _collected, publisher
from tests.running import _stores_are_closed, api, migrated_sqlite, no_background, start_api, store_url
from tests.stores import open_another, path, store, url

__all__ = [
    "_collected",
    "_stores_are_closed",
    "api",
    "migrated_postgres_url",
    "migrated_sqlite",
    "no_background",
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

# Tests start hundreds of processes. Each would compile the whole server again where Python is told to keep no bytecode.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
keep_temporary_files_there()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--dist loadgroup` one test process runs all tests of an `xdist_group`, and so makes once what they share.

    pytest-xdist 3.8 writes the group into an attribute of which pytest 9.2 knows nothing. If another version reads or
    writes something else, this fails, and no test runs: otherwise nobody would notice.
    """
    if not getattr(config.option, "loadgroup", False):
        return
    for item in items:
        groups = "_".join(sorted({str(mark.args[0]) for mark in item.iter_markers("xdist_group")}))
        if not groups:
            continue
        with_group = item.__dict__.pop("_nodeid", item.nodeid)
        item._id = item.id.parse(with_group)
        if not item.nodeid.endswith(f"@{groups}"):
            raise pytest.UsageError(f"{item.nodeid} is not in its xdist_group {groups}")


def pytest_collection_finish() -> None:
    """Thousands of collected tests stay to the end, so no collection of garbage has to look at them again."""
    gc.collect()
    gc.freeze()
