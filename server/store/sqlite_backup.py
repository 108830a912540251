"""A copy of an SQLite store, while a server and commands write to it or not.

One read transaction lasts as long as the copying, so the copy is the store as it was at one moment. That is reading,
and holds nobody up; but opening the file may recover its log and closing it may write it back, so both are done under
the write lock, as everywhere (sqlite.py). Nothing is migrated: the time for a backup is before an upgrade.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

from server.errors import FileRefused, StoreRefused, StoreUnavailable
from server.store import sqlite_file
from server.store.file_lock import FairLock
from server.store.sqlite_file import beside

# A step copies so many pages; between two of them it can be stopped, and tells how far it is.
_PAGES = 2048
_BUSY_SECONDS = 5.0

# Called with the number of pages that are copied, and of all.
Progress = Callable[[int, int], None]


class _Stopped(Exception):
    """Whoever waited for the copy does not any more."""


async def back_up(path: Path, target: Path, progress: Progress) -> None:
    """Copy the store to a new file for its owner alone, whole, checked and on disk; or leave nothing there.

    Raises FileRefused if the target is there already or can't be written, StoreRefused for what is no store,
    StoreUnavailable.
    """
    if not await asyncio.to_thread(path.exists):
        raise StoreRefused(f"there is no store at {path}")
    draft = await asyncio.to_thread(_make_draft, target)
    try:
        async with _opened(path) as source:
            await _copy_in_thread(source, draft, progress)
        await asyncio.to_thread(_finish, draft, target)
    finally:
        draft.unlink(missing_ok=True)


@asynccontextmanager
async def _opened(path: Path) -> AsyncIterator[sqlite3.Connection]:
    """A connection with a read transaction."""
    lock = FairLock(beside(path, ".write-lock"))
    with closing(lock):
        async with lock.held():
            source = await asyncio.to_thread(_open, path)
        try:
            yield source
        finally:
            await _close_under_lock(source, lock)


async def _close_under_lock(source: sqlite3.Connection, lock: FairLock) -> None:
    try:
        async with lock.held():
            await asyncio.to_thread(source.close)
    except StoreUnavailable:
        # Whoever holds the lock has the file open, so this is not the last connection and checkpoints nothing.
        source.close()


def _open(path: Path) -> sqlite3.Connection:
    sqlite_file.inspect(path, thorough=False)
    source = sqlite3.connect(
        sqlite_file.uri(path, "mode=rw"),
        uri=True,
        isolation_level=None,
        timeout=_BUSY_SECONDS,
        # Each step waits for the one before, so there is never more than one thread.
        check_same_thread=False,
    )
    try:
        source.execute("PRAGMA query_only = ON")
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM schema_migrations").fetchone()
    except sqlite3.Error as error:
        source.close()
        raise StoreRefused(f"{path} can't be read ({error})") from error
    return source


async def _copy_in_thread(source: sqlite3.Connection, draft: Path, progress: Progress) -> None:
    stop = threading.Event()
    copying = asyncio.ensure_future(asyncio.to_thread(_copy, source, draft, progress, stop))
    try:
        await asyncio.shield(copying)
    except asyncio.CancelledError:
        # The connection is the thread's until it has noticed.
        stop.set()
        await asyncio.wait([copying])
        raise


def _copy(source: sqlite3.Connection, draft: Path, progress: Progress, stop: threading.Event) -> None:
    def step(_: int, remaining: int, total: int) -> None:
        if stop.is_set():
            raise _Stopped
        progress(total - remaining, total)

    try:
        with closing(sqlite3.connect(sqlite_file.uri(draft, "mode=rw"), uri=True, isolation_level=None)) as target:
            # The file gets its name when it is whole and on disk, so it needs no journal until then.
            target.execute("PRAGMA journal_mode = OFF")
            target.execute("PRAGMA synchronous = OFF")
            source.backup(target, pages=_PAGES, progress=step)
        with closing(sqlite3.connect(sqlite_file.uri(draft, "mode=ro&immutable=1"), uri=True)) as copy:
            problem = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise FileRefused(f"the copy can't be written ({error}); is the disk full?") from error
    if problem != "ok":
        raise StoreRefused(f"the copy is damaged, and so probably the store is ({str(problem).partition(chr(10))[0]})")


def _make_draft(target: Path) -> Path:
    if os.path.lexists(target):
        raise FileRefused(f"{target} is there already; choose another name")
    try:
        # mkstemp makes it for its owner alone.
        descriptor, draft = tempfile.mkstemp(prefix=f"{target.name}.unfinished-", dir=target.parent)
    except OSError as error:
        raise FileRefused(f"{target} can't be made ({error.strerror}); choose another place") from error
    os.close(descriptor)
    return Path(draft)


def _finish(draft: Path, target: Path) -> None:
    """Bring it to the disk, then give it its name, unless that is taken by now."""
    try:
        sqlite_file.sync(draft)
        _give_name(draft, target)
        sqlite_file.sync(target.parent)
    except OSError as error:
        raise FileRefused(f"{target} can't be made ({error.strerror})") from error


def _give_name(draft: Path, target: Path) -> None:
    """Raises FileExistsError rather than replace what is there."""
    try:
        target.hardlink_to(draft)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links, as on memory sticks.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        draft.rename(target)
