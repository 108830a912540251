"""What a server holds: memory, descriptors and threads of all of its processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from tests.processes import with_children


class Held(NamedTuple):
    """`kilobytes` is resident memory."""

    kilobytes: int
    descriptors: int
    threads: int


def held_by(pid: int) -> Held:
    """The sum of all processes of the server."""
    found = [_of_one(process) for process in with_children(pid)]
    return Held(*map(sum, zip(*found, strict=True)))


def _of_one(pid: int) -> Held:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines())
    return Held(int(status["VmRSS"].split()[0]), len(os.listdir(f"/proc/{pid}/fd")), int(status["Threads"]))  # noqa: PTH208
