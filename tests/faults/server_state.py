"""What a server holds: memory, descriptors and threads of all of its processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Held(NamedTuple):
    """`kilobytes` is resident memory."""

    kilobytes: int
    descriptors: int
    threads: int


def processes_of(pid: int) -> list[int]:
    """The process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    return [pid, *map(int, children)]


def held_by(pid: int) -> Held:
    """The sum of all processes of the server."""
    found = [_of_one(process) for process in processes_of(pid)]
    return Held(*map(sum, zip(*found, strict=True)))


def _of_one(pid: int) -> Held:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines())
    return Held(int(status["VmRSS"].split()[0]), len(os.listdir(f"/proc/{pid}/fd")), int(status["Threads"]))  # noqa: PTH208
