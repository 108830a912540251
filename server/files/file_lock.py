"""A lock between processes on one machine."""

from __future__ import annotations

import asyncio
import contextvars
import fcntl
import functools
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from server.core.errors import StoreRefused
from server.files.ownership import give_to_owner_of, why_denied

Result = TypeVar("Result")

WAIT_SECONDS = 4.0
LOCKED = "another process holds a lock on the store"


class FileLock:
    """An exclusive lock on a file (flock). The kernel releases it when its holder dies, so it is never left behind."""

    def __init__(self, path: Path) -> None:
        """Open the lock file; if it is missing, make it with the owner of the file it guards. Raises StoreRefused."""
        try:
            self._descriptor = _open(path)
        except OSError as error:
            reason = f"the lock file {path} can't be opened ({error.strerror}); let this user write there"
            raise StoreRefused(why_denied([path]) or reason) from error
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            # The content of the file is read too, and reading a pipe could block for ever.
            self.close()
            raise StoreRefused(f"the lock file {path} is no file; remove it")

    def try_acquire(self) -> bool:
        """Take the lock if it is free."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def acquire(self) -> None:
        """Wait for the lock, in the order of those who wait as the system keeps it. It can't be interrupted."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def fileno(self) -> int:
        """The descriptor. A process that has it, too, holds the lock as well."""
        return self._descriptor

    def release(self) -> None:
        """Let another process take the lock, also if others have this descriptor, too."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file, and release the lock if no other process has the descriptor. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    while True:
        with suppress(FileNotFoundError):
            return os.open(path, flags)
        with suppress(FileExistsError):
            return _make(path, flags)


def _make(path: Path, flags: int) -> int:
    # The guarded file has the same name without the last suffix.
    guarded = path.with_suffix("")
    descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    give_to_owner_of(guarded, descriptor)
    with suppress(OSError):
        if guarded.is_file():
            os.fchmod(descriptor, 0o600 | guarded.stat().st_mode & 0o066)
    return descriptor


async def to_the_end(function: Callable[..., Result], *arguments: object) -> Result:
    """Call the function in a thread and wait until it ends, even if cancelled: its caller holds a lock for it."""
    # Not asyncio.to_thread, which makes a task: after Ctrl-C all tasks are cancelled, and this one would seem to end.
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    work = loop.run_in_executor(None, functools.partial(context.run, function, *arguments))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        # Fetch the failure, or asyncio logs that it was never retrieved.
        work.cancelled() or work.exception()
        raise
