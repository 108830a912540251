"""Backups that are killed, each at a later step: `python -m tests.database.killed_backup URL TARGET KEY`.

A step is what Python tells an audit hook: a file that is opened, linked, locked, removed. After each kill the same is
done again. Prints a line for whatever is not whole under its name by then, and at the end how many were killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from server.database.open import back_up
from server.database.sqlite.backup import key_beside

_STEPS = ("open", "os.", "fcntl.", "sqlite3.", "tempfile.")


def _kill_at(step: int) -> None:
    left = step

    def count(event: str, _: object) -> None:
        nonlocal left
        if event.startswith(_STEPS):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def _in_a_process(work: Callable[[], None]) -> int:
    """Its exit code, or minus the signal."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told by the process before
            print(f"{error!r}", flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _problem(target: Path, key: bytes) -> str | None:
    """What is wrong with what stands under the names."""
    beside = key_beside(target)
    if beside.exists() and beside.read_bytes() != key:
        return "the key is not whole"
    if target.exists():
        if not beside.exists():
            return "the copy is there without its key"
        with closing(sqlite3.connect(f"file:{target}?mode=ro&immutable=1", uri=True)) as copy:
            if copy.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                return "the copy is not whole"
    return None


def _main(url: str, target: Path, key: bytes) -> None:
    def make() -> None:
        asyncio.run(back_up(url, target, lambda *_: None, key))

    step, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        step += 1

        def make_and_die(step: int = step) -> None:
            _kill_at(step)
            make()

        code = _in_a_process(make_and_die)
        if problem := _problem(target, key):
            print(f"killed at step {step}: {problem}")
        # Whoever was killed at the very end has made it; then this is no news.
        made = target.exists()
        if not made and _in_a_process(make) != 0:
            print(f"after a kill at step {step} the same command fails")
        if not target.exists() or (problem := _problem(target, key)):
            print(f"after a kill at step {step} and once more: {problem}")
        left = [file.name for file in target.parent.iterdir() if file not in {target, key_beside(target)}]
        if left and not made:
            print(f"after a kill at step {step} and once more these are left: {left}")
        for file in (target, key_beside(target)):
            file.unlink(missing_ok=True)
    print(f"killed {step - 1}, then exit code {code}")


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]), sys.argv[3].encode())
