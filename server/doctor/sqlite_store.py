"""The embedded store: whether it is there, whole, up to date and takes writes, and how much room it has."""

from __future__ import annotations

import os
from pathlib import Path

from server.database.sqlite import condition
from server.database.sqlite.contents import beside
from server.doctor import schema
from server.doctor.model import Finding, note, ok, size, warning, wrong

TOPIC = "store"
# Free room below which a server should not have to run. Below the second number hardly a login fits.
_SCARCE_BYTES = 500_000_000
_LEAST_BYTES = 1_000_000
# A log that stays larger was not emptied for long: something reads all the time.
_LARGE_LOG_BYTES = 100_000_000


async def tables(path: Path) -> list[Finding]:
    """What kind of store there is; ok if the other checks can read it. Raises StoreRefused, StoreUnavailable."""
    wanted = await condition.pending(path)
    if wanted and wanted[0].version == 1:
        condition.require_place(path)
        return [schema.schema(TOPIC, f"SQLite, {path}", wanted)]
    return [schema.schema(TOPIC, f"SQLite, {path}, {size(condition.size_of(path))}", wanted)]


async def whole(path: Path) -> list[Finding]:
    """Whether every page can be read. Raises StoreRefused."""
    await condition.find_damage(path)
    return [ok(TOPIC, "all of its pages were read, none is damaged")]


async def writable(path: Path) -> list[Finding]:
    """Whether a write would succeed. Raises StoreRefused, StoreUnavailable."""
    await condition.try_write(path)
    return [ok(TOPIC, f"{path.parent} takes writes")]


def room(path: Path) -> list[Finding]:
    """What is free on the file system, and how large the log is."""
    disk = os.statvfs(next(upper for upper in path.parents if upper.is_dir()))
    free, all_ = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    text = f"{size(free)} of {size(all_)} are free on the file system of {path.parent}"
    remedy = "make room, or move the store to a larger disk"
    # Some file systems have no number of inodes, and say 0.
    if disk.f_files and not disk.f_favail:
        findings = [wrong(TOPIC, f"no inode is free on the file system of {path.parent}", "delete files there")]
    elif free < _LEAST_BYTES:
        findings = [wrong(TOPIC, text, remedy)]
    else:
        findings = [warning(TOPIC, text, remedy) if free < _SCARCE_BYTES else ok(TOPIC, text)]
    log = beside(path, "-wal")
    log_bytes = log.stat().st_size if log.exists() else 0
    if log_bytes > _LARGE_LOG_BYTES:
        text = f"its log has {size(log_bytes)}: something reads the store all the time, so it is not emptied"
        findings.append(warning(TOPIC, text, "look for a command or backup that was stopped or does not end"))
    elif log_bytes:
        findings.append(ok(TOPIC, f"its log has {size(log_bytes)}"))
    return findings


def left_over(path: Path) -> list[Finding]:
    """Drafts of commands that were killed."""
    return [
        note(TOPIC, f"{left} is left from a command that was interrupted", "run that again, or delete it")
        for left in condition.left_over(path)
    ]
