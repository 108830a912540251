"""Files that get their name only when they are complete and on disk, and that never replace another file.

Until then a file is in a folder `NAME.unfinished-…` beside its target. If the process is killed, the folder stays; the
next process that makes a file of that name removes it.
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
from server.files.syncing import sync

# The names in the folder: the draft, and a key that belongs to it.
_FILE = "file"
_KEY = "key"


@contextmanager
def unfinished(target: Path) -> Iterator[tuple[Path, Path]]:
    """Two paths in a new folder that only this user can enter: one for the draft of `target`, one for its key.

    Raises FileRefused if the target exists already or the folder can't be made.
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
        # The lock shows other processes that the maker of this folder is still running.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder / _FILE, folder / _KEY
    finally:
        _remove(folder)
        os.close(descriptor)


def make(path: Path, *, owner_of: Path | None = None) -> int:
    """The descriptor of a new file with mode 600; as root, it gets the owner of `owner_of`. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    if owner_of is not None:
        give_to_owner_of(owner_of, descriptor)
    return descriptor


def give_name(draft: Path, target: Path) -> None:
    """Sync a draft to the disk, then give it its name. Raises FileExistsError if the name is taken, and OSError."""
    sync(draft)
    try:
        target.hardlink_to(draft)
    except FileExistsError:
        raise
    except OSError:
        # This file system has no hard links, such as FAT.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        draft.rename(target)
    sync(target.parent)


def _remove_left_over(parent: Path, prefix: str) -> None:
    with suppress(OSError):
        for folder in parent.iterdir():
            if folder.name.startswith(prefix):
                _remove_if_left(folder)


def _remove_if_left(folder: Path) -> None:
    # The lock fails if the folder is in use, or if this file system has no such locks.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_uid == os.geteuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)
        finally:
            os.close(descriptor)


def _remove(folder: Path) -> None:
    """Remove the folder and the files made here. If somebody put another file into it, the folder stays."""
    for name in (_FILE, _KEY):
        with suppress(OSError):
            (folder / name).unlink()
    with suppress(OSError):
        folder.rmdir()
