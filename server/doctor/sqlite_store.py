"""The embedded store: whether it is there, whole, up to date and takes writes, and how much room it has."""

from __future__ import annotations

import os
from pathlib import Path

from server.database.pending_migrations import is_missing
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
    if is_missing(wanted):
        condition.require_place(path)
        return [schema.schema(TOPIC, f"SQLite, {path}", wanted)]
    return [schema.schema(TOPIC, f"SQLite, {path}, {size(condition.size_of(path))}", wanted)]


async def whole(path: Path) -> list[Finding]:
    """Whether every page can be read, and indexes agree with their tables. Raises StoreRefused."""
    await condition.find_damage(path)
    return [ok(TOPIC, "all of its pages were read, none is damaged")]


async def writable(path: Path) -> list[Finding]:
    """Whether a write would succeed. Raises StoreRefused, StoreUnavailable."""
    await condition.try_write(path)
    return [ok(TOPIC, f"{path.parent} takes writes")]


def room(path: Path) -> list[Finding]:
    """What is free on the file system."""
    folder = condition.nearest_folder(path)
    disk = os.statvfs(folder)
    free, all_ = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    text = f"{size(free)} of {size(all_)} are free on the file system of {folder}"
    remedy = "make room, or move the store to a larger disk"
    # Some file systems have no number of inodes, and say 0.
    if disk.f_files and not disk.f_favail:
        return [wrong(TOPIC, f"no inode is free on the file system of {folder}", "delete files there")]
    if free < _LEAST_BYTES:
        return [wrong(TOPIC, text, remedy)]
    return [warning(TOPIC, text, remedy) if free < _SCARCE_BYTES else ok(TOPIC, text)]


def log(path: Path) -> list[Finding]:
    """How large the log is."""
    file = beside(path, "-wal")
    log_bytes = file.stat().st_size if file.exists() else 0
    if log_bytes > _LARGE_LOG_BYTES:
        text = f"its log has {size(log_bytes)}: something reads the store all the time, so it is not emptied"
        return [warning(TOPIC, text, "look for a command or backup that was stopped or does not end")]
    return [ok(TOPIC, f"its log has {size(log_bytes)}")] if log_bytes else []


def left_over(path: Path) -> list[Finding]:
    """Drafts of commands that were killed."""
    return [
        note(TOPIC, f"{left} is left from a command that was interrupted", "run that again, or delete it")
        for left in condition.left_over(path)
    ]
