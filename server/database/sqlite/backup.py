"""Copies an SQLite store, which may be in use.

One read transaction lasts for the whole copy, so the copy is the store at one moment, and no writer has to wait.
Opening the file may recover its log, and closing it may write the log back. So both are done under the write lock
(driver.py). Nothing is migrated, since backups are made before an upgrade.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

from server.core.errors import FileRefused, StoreRefused
from server.database.sqlite import file as sqlite_file
from server.database.sqlite.connections import close_under_lock, connect_beside_servers
from server.database.sqlite.contents import beside, uri
from server.database.sqlite.integrity import problem_in
from server.database.sqlite.refusals import refusals
from server.files import drafts
from server.files.fair_lock import FairLock
from server.files.syncing import sync

# The number of pages in a step. After each step what was copied is on disk, the copy reports its progress, and it can
# be stopped. Much that is written to the same disk at once would keep the commits of a server waiting.
_PAGES = 2048
# After a step, the disk is left to others for as long as it took to write, or for this time if that is less.
_MOST_REST_SECONDS = 0.1

# Called with the number of copied pages and the number of all pages.
Progress = Callable[[int, int], None]


class _Stopped(Exception):
    """The caller of the copy was cancelled."""


async def back_up(path: Path, target: Path, progress: Progress, key: bytes | None) -> None:
    """Copy the store to a new file with mode 600. The copy is complete, checked and on disk, or there is no file.

    `key` is written to `key_beside(target)`. Raises FileRefused if one of the two files exists or can't be written,
    StoreRefused if there is no usable store, StoreUnavailable.
    """
    sqlite_file.refuse_no_file(path)
    if not await asyncio.to_thread(path.exists):
        raise StoreRefused(f"there is no store at {path}")
    with drafts.unfinished(target) as (copy, key_copy):
        if key is not None:
            _refuse_other(key_beside(target), key)
        _make(copy, path)
        async with _opened(path) as source:
            await _copy_in_thread(source, copy, progress)
        if key is not None:
            _make(key_copy, path, key)
        await asyncio.to_thread(_finish, copy, target, key_copy, key)


def key_beside(target: Path) -> Path:
    """The path of the master key of a copy."""
    return target.with_name(f"{target.name}.key")


@asynccontextmanager
async def _opened(path: Path) -> AsyncIterator[sqlite3.Connection]:
    """A connection with an open read transaction."""
    lock = FairLock(beside(path, ".write-lock"))
    with closing(lock):
        async with lock.held():
            source = await asyncio.to_thread(_open, path)
        try:
            yield source
        finally:
            await close_under_lock(source, lock)


def _open(path: Path) -> sqlite3.Connection:
    sqlite_file.inspect(path, thorough=False)
    with refusals(path):
        source = connect_beside_servers(path)
        try:
            source.execute("PRAGMA query_only = ON")
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM schema_migrations").fetchone()
        except sqlite3.Error:
            source.close()
            raise
        return source


async def _copy_in_thread(source: sqlite3.Connection, draft: Path, progress: Progress) -> None:
    stop = threading.Event()
    copying = asyncio.ensure_future(asyncio.to_thread(_copy, source, draft, progress, stop))
    try:
        await asyncio.shield(copying)
    except asyncio.CancelledError:
        # The thread uses the connection until it sees `stop`.
        stop.set()
        await asyncio.wait([copying])
        raise


def _copy(source: sqlite3.Connection, draft: Path, progress: Progress, stop: threading.Event) -> None:
    def step(_: int, remaining: int, total: int) -> None:
        if stop.is_set():
            raise _Stopped
        progress(total - remaining, total)
        begun = time.monotonic()
        os.fdatasync(written)
        if remaining:
            time.sleep(min(_MOST_REST_SECONDS, time.monotonic() - begun))

    written = os.open(draft, os.O_RDONLY)
    try:
        with closing(sqlite3.connect(uri(draft, "mode=rw"), uri=True, isolation_level=None)) as target:
            # No journal is needed: the file gets its name only when it is complete and on disk.
            target.execute("PRAGMA journal_mode = OFF")
            target.execute("PRAGMA synchronous = OFF")
            source.backup(target, pages=_PAGES, progress=step)
        with closing(sqlite3.connect(uri(draft, "mode=ro&immutable=1"), uri=True)) as copy:
            problem = problem_in(copy, "integrity_check")
    except (sqlite3.Error, OSError) as error:
        raise FileRefused(f"the copy can't be written ({error}); is the disk full, or the folder gone?") from error
    finally:
        os.close(written)
    if problem is not None:
        raise StoreRefused(f"the copy is damaged, and so probably the store is ({problem})")


def _make(draft: Path, path: Path, content: bytes = b"") -> None:
    """Make a file with the owner of the store."""
    try:
        with os.fdopen(drafts.make(draft, owner_of=path), "wb") as file:
            file.write(content)
    except OSError as error:
        raise FileRefused(f"the copy can't be written ({error.strerror})") from error


def _refuse_other(key_target: Path, key: bytes) -> None:
    if os.path.lexists(key_target) and not _holds(key_target, key):
        raise FileRefused(f"{key_target} is there already; choose another name")


def _holds(key_target: Path, key: bytes) -> bool:
    """Whether the same key is there already: a backup that was killed may have left it."""
    with suppress(OSError):
        found = key_target.lstat()
        return stat.S_ISREG(found.st_mode) and not found.st_mode & 0o077 and key_target.read_bytes() == key
    return False


def _finish(copy: Path, target: Path, key_copy: Path, key: bytes | None) -> None:
    """Give both files their names. The key is first, so the copy never exists without it; a failure removes it."""
    name, named = target, False
    try:
        # The sync may take long, so it is done before the first name.
        sync(copy)
        if key is not None and not _holds(key_beside(target), key):
            name = key_beside(target)
            drafts.give_name(key_copy, name)
            named = True
        name = target
        drafts.give_name(copy, name)
    except OSError as error:
        if named:
            with suppress(OSError):
                key_beside(target).unlink()
        raise FileRefused(f"{name} can't be made ({error.strerror})") from error
