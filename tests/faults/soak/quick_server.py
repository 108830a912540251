"""`python -m server` in which what takes days takes seconds, so all that is purged is purged within a run.

In each round of the purge it writes how many tasks its event loop has, into a file in its folder.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from server import background
from server.cli import main
from server.core import clock
from server.mail import known_clients, tidying
from server.registration import service
from server.sessions import repository

_QUICK: tuple[tuple[object, str, float], ...] = (
    # Otherwise nothing is purged in the first ten minutes.
    (clock, "_STEADY_SECONDS", 2),
    (background, "ROUND_SECONDS", 2),
    (background, "PURGE_DELAY_MS", 5_000),
    (background, "INVITATION_DELAY_MS", 5_000),
    (background, "FORGET_MS", 30_000),
    (background, "WAIT_MS", 30_000),
    # Longer than any access token of the load lives.
    (repository, "MEMORY_MS", 150_000),
    (tidying, "SENT_MS", 10_000),
    (tidying, "GIVEN_UP_MS", 10_000),
    (known_clients, "REMEMBERED_MS", 30_000),
    (service, "CONFIRM_MS", 15_000),
)


def _write(count: int) -> None:
    Path(f"tasks-{os.getpid()}").write_text(str(count))


_purge = background.purge


async def _counted_purge(*arguments: Any) -> None:
    _write(len(asyncio.all_tasks()))
    await _purge(*arguments)


if __name__ == "__main__":
    for module, name, value in (*_QUICK, (background, "purge", _counted_purge)):
        assert hasattr(module, name), name
        setattr(module, name, value)
    main()
