"""What another process does to a store: `python -m tests.database.other_process serve|write|kill URL [COUNT]`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from server.core.errors import StoreRefused
from server.repositories import open_repositories
from tests.records import add_user, new_user

ROOT = Path(__file__).parents[2]


def command(action: str, url: str, count: int = 0) -> list[str]:
    """The command line; run it in ROOT."""
    return [sys.executable, "-m", "tests.database.other_process", action, url, str(count)]


async def _main(action: str, url: str, count: int) -> None:
    try:
        store = await open_repositories(url, serving=action == "serve")
    except StoreRefused as refused:
        print(f"refused: {refused}", flush=True)
        return
    print("open", flush=True)
    for number in range(1000, 1000 + count):
        await add_user(store, new_user(number))
    print("written", flush=True)
    if action != "write":
        # Until the test closes the pipe, or kills.
        await asyncio.to_thread(sys.stdin.read)
    await store.close()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
