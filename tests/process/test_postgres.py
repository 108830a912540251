"""Commands on a PostgreSQL that does not do what they ask of it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from server.database.open import apply_migrations
from tests.process.server_process import DEADLINE_SECONDS, environment, run, uncovered
from tests.running import MASTER_KEY


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
def test_a_command_that_is_refused_a_write_says_so_in_one_line(tmp_path: Path, store_url: str) -> None:
    async def prepare() -> None:
        await apply_migrations(store_url)
        connection = await asyncpg.connect(store_url)
        await connection.execute(
            f"ALTER DATABASE {urlsplit(store_url).path[1:]} SET default_transaction_read_only = on"
        )
        await connection.close()

    asyncio.run(prepare())
    refused = run(tmp_path, "users", "list", WATCHWORD__STORE__URL=store_url, WATCHWORD__KEYS__MASTER_KEY=MASTER_KEY)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr == (
        "store_unavailable: The store can't be reached. Try again shortly. "
        "(cannot execute INSERT in a read-only transaction)\n"
    )


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_that_waits_for_its_database_says_so_and_ends_at_once_when_asked(tmp_path: Path, workers: str) -> None:
    env = environment(
        WATCHWORD__STORE__URL="postgresql://me@127.0.0.1:1/db",
        WATCHWORD__KEYS__MASTER_KEY=MASTER_KEY,
        WATCHWORD__SERVER__PORT="0",
        WATCHWORD__SERVER__WORKERS=workers,
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "server"], cwd=tmp_path, env=uncovered(env), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        try:
            assert process.stderr is not None
            assert any("waiting for PostgreSQL" in line for line in process.stderr)
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_SECONDS) == 0
        finally:
            process.kill()
