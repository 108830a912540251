"""kill -9 at any step of a move leaves one store that takes writes, and no obstacle for the next move."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

from server.repositories import open_repositories
from tests.database.transfer.filled import fill
from tests.environment import ROOT, environment
from tests.volume import IS_FULL

# `make test` kills at some of the steps.
EVERY = 1 if IS_FULL else 11


def test_a_move_that_is_killed_at_any_step(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/data/watchword.db"

    async def make() -> None:
        store = await open_repositories(url, serving=False)
        await fill(store)
        await store.close()

    asyncio.run(make())
    command = [sys.executable, "-m", "tests.database.transfer.killed_move", url, f"{tmp_path}/new/watchword.db"]
    done = subprocess.run(
        [*command, str(EVERY)], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    )
    found = re.fullmatch(r"killed ([0-9]+), then exit code 0\n", done.stdout)
    assert found, done.stdout
    assert int(found[1]) > 50 // EVERY
