"""Makes a store of a file that was written elsewhere. Nothing is overwritten, and no server starts in the middle."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from server.core.errors import FileRefused, StoreRefused
from server.database.sqlite.contents import beside, contents, mark, uri
from server.database.sqlite.file import is_ours, prepare_folder
from server.database.sqlite.integrity import problem_in
from server.files import drafts
from server.files.fair_lock import FairLock
from server.files.file_lock import FileLock, to_the_end
from server.files.syncing import sync


class Drafts(NamedTuple):
    """The unfinished database and its master key, which get their names at the end."""

    database: Path
    key: Path


def refuse_present(path: Path, key: Path | None) -> None:
    """Raise StoreRefused if there is a store, or a part of one, at that path. `key` is a file that may stay."""
    parts = (path, *(beside(path, ending) for ending in ("-wal", "-shm", "-journal", ".key")))
    found = [part for part in parts if part != key and os.path.lexists(part)]
    if found and found[0] == path and not is_ours(path):
        # The advice below would move away the file of another program.
        raise StoreRefused(f"{path} is there already, and no store of this program; choose another path")
    if found:
        away = path.with_name("old-store")
        raise StoreRefused(
            f"there is a store already ({', '.join(part.name for part in found)}); stop its server, then move all of "
            f"it away: mkdir {quote(str(away))} && mv {quote(str(path))}* {quote(str(away))}/"
        )


@asynccontextmanager
async def new_store(path: Path) -> AsyncIterator[Drafts]:
    """Drafts for a store at `path`. What has no name at the end is removed, and so is a folder that was made for it.

    Raises StoreRefused if a server runs there, FileRefused.
    """
    _refuse_served(path)
    made_folder = not path.parent.exists()
    await asyncio.to_thread(prepare_folder, path)
    try:
        with drafts.unfinished(path) as (database, key):
            yield Drafts(database, key)
    finally:
        if made_folder:
            # It stays if there is something in it.
            with suppress(OSError):
                path.parent.rmdir()


def _refuse_served(path: Path) -> None:
    """Raise StoreRefused if a server runs, even if its files were moved away: it would write to those."""
    if beside(path, ".serve-lock").exists():
        serve_lock = FileLock(beside(path, ".serve-lock"))
        try:
            _take(serve_lock, path)
        finally:
            serve_lock.close()


def _take(serve_lock: FileLock, path: Path) -> None:
    if not serve_lock.try_acquire():
        raise StoreRefused(f"a server runs on {path}; stop it first")


def problem_of(draft: Path) -> str | None:
    """What is wrong with a complete draft, which is read from the disk page by page. Raises sqlite3.Error."""
    with closing(sqlite3.connect(uri(draft, "mode=ro&immutable=1"), uri=True)) as connection:
        problem = problem_in(connection, "integrity_check")
        if problem is None and (broken := connection.execute("PRAGMA foreign_key_check").fetchone()):
            return f"a row of {broken[0]} refers to nothing"
        return problem


async def give_names(made: Drafts, path: Path, key: bytes | None) -> None:
    """Give both files their names, under the locks of a store. Raises StoreRefused, FileRefused."""
    await asyncio.to_thread(sync, made.database)
    async with AsyncExitStack() as locks:
        lock = FairLock(beside(path, ".write-lock"))
        locks.callback(lock.close)
        serve_lock = FileLock(beside(path, ".serve-lock"))
        locks.callback(serve_lock.close)
        _take(serve_lock, path)
        await locks.enter_async_context(lock.held())
        await to_the_end(_give_names, made, path, key)


def _give_names(made: Drafts, path: Path, key: bytes | None) -> None:
    """The key is first, so the store never exists without it."""
    beside_key = beside(path, ".key")
    try:
        if key is not None:
            with os.fdopen(drafts.make(made.key, owner_of=path), "wb") as file:
                file.write(key)
            drafts.give_name(made.key, beside_key)
    except OSError as error:
        raise FileRefused(f"{beside_key} can't be made ({error.strerror})") from error
    try:
        drafts.give_name(made.database, path)
        mark(path, contents(path))
    except OSError as error:
        if key is not None:
            with suppress(OSError):
                beside_key.unlink()
        raise FileRefused(f"{path} can't be made ({error.strerror})") from error
