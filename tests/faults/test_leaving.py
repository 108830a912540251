"""Clients that leave in the middle of a write: it is done or not done, and nothing of it stays open."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections import Counter
from pathlib import Path

import asyncpg
import pytest

from tests.faults.attacked import MEMORY_MB, PARSERS, Attacked, attacked, in_full
from tests.faults.leavers import KINDS, leave, request, writers
from tests.faults.watching import Watching
from tests.figures import Figures
from tests.process.server_process import run
from tests.running import MASTER_KEY
from tests.steady_load import steady_load
from tests.volume import volume

LEAVERS = 200
# What was made or deleted, and what the audit log says of it.
COUNTS = """
    SELECT (SELECT count(*) FROM users) AS users,
        (SELECT count(*) FROM audit_events WHERE event = 'user_created') AS made,
        (SELECT count(*) FROM audit_events WHERE event = 'user_deleted') AS deleted,
        (SELECT count(*) FROM invitations) AS invitations,
        (SELECT count(*) FROM audit_events WHERE event = 'invitation_created') AS invited,
        (SELECT count(*) FROM sessions WHERE user_id NOT IN (SELECT id FROM users)) AS orphans
"""


def settings(folder: Path) -> dict[str, str]:
    return {
        "WATCHWORD__SERVER__PUBLIC_URL": "http://127.0.0.1:8080",
        "WATCHWORD__REGISTRATION__MODE": "open",
        "WATCHWORD__MAIL__URL": f"file:///{folder}/mails",
        "WATCHWORD__MAIL__FROM": "auth@writers.example",
        "WATCHWORD__MAIL__SIGN_IN_CODES": "true",
        "WATCHWORD__LIMITS__ADDRESS_MAILS_PER_HOUR": "1000000",
        "WATCHWORD__LIMITS__ALL_MAILS_PER_HOUR": "1000000",
    }


async def counted(url: str) -> Counter[str]:
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file:
            file.row_factory = sqlite3.Row
            return Counter(dict(file.execute(COUNTS).fetchone()))
    connection = await asyncpg.connect(url, server_settings={"search_path": "watchword"})
    try:
        row = await connection.fetchrow(COUNTS)
        assert row is not None
        return Counter(dict(row))
    finally:
        await connection.close()


def assert_whole(server: Attacked, folder: Path) -> None:
    """Each change has its record, each record its change, and the chain of the records is whole."""
    found = asyncio.run(counted(server.store_url))
    assert found["users"] == found["made"] - found["deleted"], found
    assert found["invitations"] == found["invited"], found
    assert found["orphans"] == 0, found
    checked = run(
        folder,
        "audit",
        "verify",
        WATCHWORD__STORE__URL=server.store_url,
        WATCHWORD__KEYS__MASTER_KEY=MASTER_KEY,
    )
    assert (checked.returncode, checked.stderr) == (0, ""), checked


@pytest.mark.parametrize(
    ("store_url", "workers", "parser"),
    [
        ("sqlite", 1, PARSERS[0]),
        pytest.param("sqlite", 1, PARSERS[1], marks=in_full),
        ("postgres", 2, PARSERS[0]),
    ],
    indirect=["store_url"],
)
def test_who_leaves_in_the_middle_of_a_write(
    tmp_path: Path, store_url: str, workers: int, parser: str, figures: Figures
) -> None:
    with attacked(tmp_path, store_url, parser=parser, workers=workers, **settings(tmp_path)) as server:
        count = volume(LEAVERS)
        chance = random.Random(16)
        users = writers(server, count)
        before = server.warm()
        waited = 0.0
        with steady_load(server.server.address, server.token, pid=server.pids[-1]) as load:
            watching = Watching(figures, load)
            for kind in KINDS:
                leave(server.port, [request(kind, user, server.token) for user in users], chance)
                waited = max(waited, server.seconds_to_the_lock())
            watching.end("all kinds")
        after = server.left_nothing(before)
        assert_whole(server, tmp_path)
        what = f"{count} of each kind leave ({store_url.partition(':')[0]}, {workers}, parser {parser})"
        watching.note(what, hashes=True)
        figures.at_most(f"{what}: memory", after.memory_mb - before.memory_mb, MEMORY_MB, "MB")
        figures.at_most(f"{what}: until another process may write", waited * 1000, 3000, "ms")
