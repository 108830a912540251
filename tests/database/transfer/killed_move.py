"""Moves that are killed, each at a later step: `python -m tests.database.transfer.killed_move SOURCE TARGET [EVERY]`.

A step is what Python tells an audit hook, as in killed_backup.py. After each kill at most one store takes writes, and
the next move works. Prints a line for whatever is otherwise, and at the end how many were killed.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

from server.core.errors import StoreRefused
from server.database.transfer import places
from tests.database.killed_backup import _in_a_process, _kill_at
from tests.database.transfer.filled import move_to


async def _is_moved(url: str) -> bool:
    async with places.source_at(url) as source:
        state = await source.state()
        return state is not None and state.is_moved


def _problem(source: str, target: Path) -> str | None:
    """What is wrong after a kill; then the store is put in order again, as moving.md says."""
    moved = asyncio.run(_is_moved(source))
    if target.exists() and not moved:
        return "both stores take writes"
    if moved:
        asyncio.run(places.reopen(source))
        for file in target.parent.glob(f"{target.name}*"):
            if file.is_file():
                file.unlink()
    try:
        asyncio.run(move_to(source, f"sqlite:///{target}"))
    except StoreRefused as error:
        return f"the next move is refused ({error})"
    left = [file.name for file in target.parent.iterdir() if ".unfinished-" in file.name]
    asyncio.run(places.reopen(source))
    return f"these are left: {left}" if left else None


def _main(source: str, target: Path, every: int) -> None:
    def make() -> None:
        asyncio.run(move_to(source, f"sqlite:///{target}"))

    step, code, killed = 1, -signal.SIGKILL, 0
    while code == -signal.SIGKILL:

        def make_and_die(step: int = step) -> None:
            _kill_at(step)
            make()

        code = _in_a_process(make_and_die)
        if code == -signal.SIGKILL:
            killed += 1
            if problem := _problem(source, target):
                print(f"killed at step {step}: {problem}")
        shutil.rmtree(target.parent, ignore_errors=True)
        step += every
    print(f"killed {killed}, then exit code {code}")


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    sys.stdout.flush()
    os._exit(0)
