"""What the system tells of processes (proc(5))."""

from __future__ import annotations

from pathlib import Path


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


def with_children(pid: int) -> list[int]:
    return [pid, *children_of(pid)]


def memory_kb(pid: int) -> dict[str, int]:
    """By the names of smaps_rollup: Rss, Pss, Private_Clean and others."""
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()[1:])
    return {name.removesuffix(":"): int(size) for name, size, *_ in lines}


def resident_kb(pid: int) -> int:
    """Resident memory, which is read without a look at each mapping."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0])
