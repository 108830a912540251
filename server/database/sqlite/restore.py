"""Puts a backup in the place of a store."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from server.core.errors import FileRefused
from server.database.sqlite.backup import Progress
from server.database.sqlite.new_store import give_names, new_store, problem_of
from server.database.sqlite.refusals import damaged, refusals
from server.files import drafts
from server.files.file_lock import to_the_end

_CHUNK_BYTES = 1 << 20


async def restore(copy: Path, path: Path, key: bytes | None, progress: Progress) -> None:
    """Copy the backup to `path`, and the key beside it. Both are complete, checked and on disk, or there is neither.

    Raises StoreRefused if a server runs there or the copy is damaged, FileRefused if a file can't be written.
    """
    async with new_store(path) as made:
        await to_the_end(_copy, copy, made.database, path, _stoppable(progress))
        await give_names(made, path, key)


def _stoppable(progress: Progress) -> Progress:
    """Report progress, and stop the copy when its caller was cancelled."""
    task = asyncio.current_task()

    def step(done: int, total: int) -> None:
        if task is not None and task.cancelling():
            raise FileRefused("the copy was interrupted")
        progress(done, total)

    return step


def _copy(copy: Path, draft: Path, path: Path, progress: Progress) -> None:
    """Copy and check."""
    try:
        total, done = copy.stat().st_size, 0
        with copy.open("rb") as source, os.fdopen(drafts.make(draft, owner_of=path), "wb") as target:
            while chunk := source.read(_CHUNK_BYTES):
                target.write(chunk)
                done += len(chunk)
                progress(done, total)
    except OSError as error:
        raise FileRefused(f"{error.filename or path} can't be copied ({error.strerror})") from error
    with refusals(copy):
        problem = problem_of(draft)
    if problem is not None:
        raise damaged(copy, problem)
