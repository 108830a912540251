"""Files that get their name when they are complete and on disk, and never replace another one.

Until then they are in a folder `NAME.unfinished-…` beside it. If the process is killed, the folder stays, and the
next one that makes a file of that name removes it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from server.core.errors import FileRefused
from server.files.ownership import give_to_owner_of

# What the folder holds: the file, and what belongs to it.
_FILE = "file"
_KEY = "key"


@contextmanager
def unfinished(target: Path) -> Iterator[tuple[Path, Path]]:
    """Two paths in a folder for this user alone: for what will be `target`, and for a key to it.

    Raises FileRefused if the target is there already, or the folder can't be made.
    """
    prefix = f"{target.name}.unfinished-"
    _remove_left_over(target.parent, prefix)
    if os.path.lexists(target):
        raise FileRefused(f"{target} is there already; choose another name")
    try:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise FileRefused(f"{target} can't be made ({error.strerror}); choose another place") from error
    try:
        # As long as it is locked, its maker lives.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder / _FILE, folder / _KEY
    finally:
        _remove(folder)
        os.close(descriptor)


def make(path: Path, *, owner_of: Path | None = None) -> int:
    """An open file that is new, for its owner alone: this user, or the one of another file. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    if owner_of is not None:
        give_to_owner_of(owner_of, descriptor)
    return descriptor


def give_name(draft: Path, target: Path) -> None:
    """Bring a draft to the disk, then under its name. Raises OSError; FileExistsError rather than replace a file."""
    sync(draft)
    try:
        target.hardlink_to(draft)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links, as on memory sticks.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        draft.rename(target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_left_over(parent: Path, prefix: str) -> None:
    with suppress(OSError):
        for folder in parent.iterdir():
            if folder.name.startswith(prefix):
                _remove_if_left(folder)


def _remove_if_left(folder: Path) -> None:
    # Refused if it is in use, or if this file system has no such locks.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_uid == os.geteuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)
        finally:
            os.close(descriptor)


def _remove(folder: Path) -> None:
    """With what is made here, and only that: a folder of that name with something else in it stays."""
    for name in (_FILE, _KEY):
        with suppress(OSError):
            (folder / name).unlink()
    with suppress(OSError):
        folder.rmdir()
