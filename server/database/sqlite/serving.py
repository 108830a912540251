"""One server on a file: the lock that keeps others out, and how its workers know that they have the same file.

The process that prepares the store takes the lock. Its parent and the workers have the same open file, to which the
lock belongs (flock(2)), so it is held as long as one of them lives. Nobody may release it, but everybody may close it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from server.core.errors import StoreRefused
from server.database.sqlite.check_note import CheckNote
from server.database.sqlite.contents import beside, has_log
from server.database.sqlite.file import closer, inspect
from server.database.sqlite.migrate import migrate
from server.files.fair_lock import FairLock
from server.files.file_lock import FileLock, to_the_end

# So long a server waits for the lock: the system may not yet have ended all processes of one that was killed.
FREED_SECONDS = 2.0
_RETRY_SECONDS = 0.05
# A larger file is read whole after the start (rest_check.py). To read so much takes a tenth of a second, or after a
# crash, when its indexes are compared, half a second.
MOST_BYTES_AT_START = 64_000_000
_LOCK = ".serve-lock"


def serve_lock_of(path: Path) -> FileLock:
    """The lock, not taken yet. Raises StoreRefused."""
    return FileLock(beside(path, _LOCK))


@asynccontextmanager
async def locked(path: Path, lock: FairLock, serve_lock: FileLock | None) -> AsyncIterator[None]:
    """Hold the write lock, and take the lock of a server if it is given. Raises StoreRefused if another one has it.

    Both are taken in one step, since who holds the write lock may migrate a file that nobody serves. While another
    server is waited for, it can write.
    """
    until = time.monotonic() + FREED_SECONDS
    while True:
        async with lock.held():
            if serve_lock is None or serve_lock.try_acquire():
                yield
                return
        if time.monotonic() >= until:
            remedy = "stop it, or give this one another store.url"
            raise StoreRefused(f"{path} is already served by another process; {remedy}")
        await asyncio.sleep(_RETRY_SECONDS)


async def prepare(
    path: Path, serve_lock: FileLock, opening: AsyncExitStack, *, serving: bool, migrating: bool
) -> Sequence[int]:
    """Check the file and migrate it. The caller holds the write lock.

    Returns descriptors of the lock and of the file, for workers. Raises StoreRefused.
    """
    if not serving:
        await migrate(path, serve_lock, serving=False, migrating=migrating)
        return ()
    note = CheckNote(serve_lock.fileno())
    check = closer(note.check or "quick_check", log=await asyncio.to_thread(has_log, path))
    # What is known to be damaged is read first, so nobody writes to it again before that.
    is_damaged = note.damage is not None
    if is_damaged:
        check = "integrity_check"
    large = not is_damaged and await asyncio.to_thread(_is_large, path)
    # On a full disk there may be no note, and without it nobody would check the file later.
    later = large and note.tell_unchecked(check)
    await migrate(path, serve_lock, serving=True, migrating=migrating, whole=not later, check=check)
    if not later:
        note.clear()
    if not hasattr(os, "O_PATH"):
        return (serve_lock.fileno(),)
    # Only to compare: while it is open, no other file gets its number. To close any other kind of descriptor would
    # release the locks that SQLite has in this process (sqlite.org/howtocorrupt.html, section 2.2).
    file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    opening.callback(os.close, file)
    return (serve_lock.fileno(), file)


def known_to_server(serve_lock: FileLock) -> CheckNote | None:
    """For a command, which holds the write lock: what a running server knows of the file.

    None if no server runs: what the last one has found may be of a file that was replaced since.
    """
    if serve_lock.try_acquire():
        serve_lock.release()
        return None
    return CheckNote(serve_lock.fileno())


def _is_large(path: Path) -> bool:
    return path.exists() and path.stat().st_size > MOST_BYTES_AT_START


async def require_prepared(path: Path, held: Sequence[int]) -> None:
    """Raise StoreRefused unless lock and file are those that `prepare` has returned. The caller holds the write lock.

    A worker may take the place of another one hours later. It is not told what the others know, such as that the file
    was replaced. Other workers have the file open, so it is only looked at.
    """
    names = (beside(path, _LOCK), path)
    try:
        is_same = all(os.path.samestat(name.stat(), os.fstat(known)) for name, known in zip(names, held, strict=False))
    except OSError:
        is_same = False
    if not is_same:
        raise StoreRefused(f"{path} or its lock was moved or replaced while the server ran; restart the server")
    if await to_the_end(partial(inspect, path, thorough=False)):
        raise StoreRefused(f"{path} needs migrations that it did not need before; restart the server")
