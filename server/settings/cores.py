"""How many cores this process may use: what a 0 in the settings stands for."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """The cores that this process may run on, at least 1. A container or a unit may have a quota that is lower.

    Python has the first number only (`os.process_cpu_count`, from 3.13 on). The quota is that of cgroups version 2.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(_OWN_CGROUP, _CGROUPS)
    return cores if quota is None else max(1, min(cores, round(quota)))


def _quota(own: Path, root: Path) -> float | None:
    """The least quota of the own cgroup and those above it, in cores; None if there is none (cgroups(7), cpu.max)."""
    with suppress(OSError, ValueError):
        line = next((line for line in own.read_text().splitlines() if line.startswith("0::/")), None)
        if line is not None:
            path = root / line.removeprefix("0::/")
            found = [_cores_in(folder / "cpu.max") for folder in (path, *path.parents) if folder.is_relative_to(root)]
            return min((quota for quota in found if quota is not None), default=None)
    return None


def _cores_in(file: Path) -> float | None:
    with suppress(OSError, ValueError):
        allowed, period = file.read_text().split()
        if allowed != "max":
            return int(allowed) / int(period)
    return None
