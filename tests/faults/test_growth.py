"""A start with a million revocations, and their memory. `python -m tests.bench.growth` measures all that grows."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.database.open import apply_migrations
from server.repositories import Repositories, open_repositories
from server.sessions.model import MEMORY_MS
from tests.bench.load import cpu_seconds
from tests.bench.workers import memory
from tests.figures import Figures
from tests.process.server_process import serving
from tests.running import MASTER_KEY
from tests.volume import volume

REVOCATIONS = volume(1_000_000)
STARTS = 3


# Sessions with ids that are as random as those of a server.
INSERT = """
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}),
made (id) AS (SELECT {digits} FROM numbers)
INSERT INTO revocations (session_id, forget_at) SELECT substr(id, 1, 8) || '-' || substr(id, 9, 4) || '-'
|| substr(id, 13, 4) || '-' || substr(id, 17, 4) || '-' || substr(id, 21), {forget_at} FROM made
"""
DIGITS = {"sqlite": "lower(hex(randomblob(16)))", "postgres": "replace(gen_random_uuid()::text, '-', '')"}


async def write_revocations(store: Repositories) -> None:
    forget_at = time.time_ns() // 1_000_000 + MEMORY_MS
    sql = INSERT.format(count=REVOCATIONS // 10, digits=DIGITS[store.driver.dialect], forget_at=forget_at)
    for _ in range(10):
        await store.driver.write_one(sql)


def started(url: str, folder: Path) -> Iterator[tuple[float, float]]:
    """The CPU seconds of some starts, and the memory afterwards (MB)."""
    for _ in range(STARTS):
        settings = {"WATCHWORD__STORE__URL": url, "WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY}
        with serving(folder, log_to=folder / "log", module="server", **settings) as server:
            pid = server.process.pid
            yield cpu_seconds(pid), memory(pid)[0]
            assert server.stop() == 0


@pytest.mark.parametrize("store_url", ["sqlite", "postgres"], indirect=True)
async def test_a_million_revocations_take_little_memory_and_time(
    store_url: str, tmp_path: Path, figures: Figures
) -> None:
    await apply_migrations(store_url)
    kind = store_url.partition(":")[0]
    few = list(started(store_url, tmp_path))
    store = await open_repositories(store_url, serving=False)
    try:
        await write_revocations(store)
    finally:
        await store.close()
    many = list(started(store_url, tmp_path))
    seconds, megabytes = (
        statistics.median(after) - statistics.median(before)
        for after, before in zip(zip(*many, strict=True), zip(*few, strict=True), strict=True)
    )
    figures.at_most(f"{kind}, CPU of a start with {REVOCATIONS:,} revocations, more by", seconds, 2, "s")
    figures.at_most(f"{kind}, memory of them", megabytes, 60, "MB")
    # With a wide margin for what else differs between two starts.
    assert megabytes < 90
