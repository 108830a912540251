"""Puts a backup in the place of a store. Nothing is ever overwritten, and no server can start in the middle of it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import AsyncExitStack, closing, suppress
from pathlib import Path
from shlex import quote

from server.core.errors import FileRefused, StoreRefused
from server.database.sqlite.backup import Progress
from server.database.sqlite.contents import beside, contents, mark, uri
from server.database.sqlite.file import prepare_folder
from server.database.sqlite.refusals import damaged, refusals
from server.files import drafts
from server.files.fair_lock import FairLock
from server.files.file_lock import FileLock, to_the_end

_CHUNK_BYTES = 1 << 20


def refuse_present(path: Path, key: Path | None) -> None:
    """Raise StoreRefused if there is a store, or a part of one, at that path. `key` is a file that may stay."""
    parts = (path, *(beside(path, ending) for ending in ("-wal", "-shm", "-journal", ".key")))
    found = [part for part in parts if part != key and os.path.lexists(part)]
    if found:
        away = path.with_name("before-restore")
        raise StoreRefused(
            f"there is a store already ({', '.join(part.name for part in found)}); stop its server, then move all of "
            f"it away: mkdir {quote(str(away))} && mv {quote(str(path))}* {quote(str(away))}/"
        )


async def restore(copy: Path, path: Path, key: bytes | None, progress: Progress) -> None:
    """Copy the backup to `path`, and the key beside it. Both are complete, checked and on disk, or there is neither.

    Raises StoreRefused if a server runs there or the copy is damaged, FileRefused if a file can't be written.
    """
    made_folder = not path.parent.exists()
    await asyncio.to_thread(prepare_folder, path)
    try:
        async with AsyncExitStack() as locks:
            lock = FairLock(beside(path, ".write-lock"))
            locks.callback(lock.close)
            serve_lock = FileLock(beside(path, ".serve-lock"))
            locks.callback(serve_lock.close)
            _take(serve_lock, path)
            await locks.enter_async_context(lock.held())
            with drafts.unfinished(path) as (draft, key_draft):
                await to_the_end(_copy, copy, draft, path, _stoppable(progress))
                await to_the_end(_name, draft, key_draft, path, key)
    except BaseException:
        if made_folder:
            _remove_folder(path)
        raise


def _take(serve_lock: FileLock, path: Path) -> None:
    """Raise StoreRefused if a server runs, even if its files were moved away: it would write to those."""
    if not serve_lock.try_acquire():
        raise StoreRefused(f"a server runs on {path}; stop it first")


def _stoppable(progress: Progress) -> Progress:
    """Report progress, and stop the copy when its caller was cancelled."""
    task = asyncio.current_task()

    def step(done: int, total: int) -> None:
        if task is not None and task.cancelling():
            raise FileRefused("the copy was interrupted")
        progress(done, total)

    return step


def _copy(copy: Path, draft: Path, path: Path, progress: Progress) -> None:
    """Copy and check. It is read again from the disk, page by page."""
    try:
        total, done = copy.stat().st_size, 0
        with copy.open("rb") as source, os.fdopen(drafts.make(draft, owner_of=path), "wb") as target:
            while chunk := source.read(_CHUNK_BYTES):
                target.write(chunk)
                done += len(chunk)
                progress(done, total)
    except OSError as error:
        raise FileRefused(f"{error.filename or path} can't be copied ({error.strerror})") from error
    with refusals(copy), closing(sqlite3.connect(uri(draft, "mode=ro&immutable=1"), uri=True)) as connection:
        for check in ("integrity_check(1)", "foreign_key_check"):
            problem = connection.execute(f"PRAGMA {check}").fetchone()
            if problem not in (None, ("ok",)):
                raise damaged(copy, str(problem[0]).partition("\n")[0])


def _name(draft: Path, key_draft: Path, path: Path, key: bytes | None) -> None:
    """Give both files their names. The key is first, so the store never exists without it."""
    beside_key = beside(path, ".key")
    try:
        drafts.sync(draft)
        if key is not None:
            with os.fdopen(drafts.make(key_draft, owner_of=path), "wb") as file:
                file.write(key)
            drafts.give_name(key_draft, beside_key)
    except OSError as error:
        raise FileRefused(f"{beside_key} can't be made ({error.strerror})") from error
    try:
        drafts.give_name(draft, path)
        mark(path, contents(path))
    except OSError as error:
        if key is not None:
            with suppress(OSError):
                beside_key.unlink()
        raise FileRefused(f"{path} can't be made ({error.strerror})") from error


def _remove_folder(path: Path) -> None:
    """Remove the folder that was made for the store, with its lock files, which are empty."""
    for ending in (".write-lock", ".write-lock.turn", ".serve-lock"):
        with suppress(OSError):
            if beside(path, ending).stat().st_size == 0:
                beside(path, ending).unlink()
    with suppress(OSError):
        path.parent.rmdir()
