"""Commands on a PostgreSQL that does not do what they ask of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from server.database.open import apply_migrations
from tests.process.server_process import run
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
