"""Whom a file belongs to: new ones belong to whoever will need them, and who can't open one is told why.

Commands are often run as root, `sudo watchword …`, while the server is another user. What they make there is for the
server, so it gets the owner of the file that it stands beside.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from shlex import quote

# Containers often run as a user that has a number only.
_NAMELESS = "user "


def give_to_owner_of(model: Path, descriptor: int) -> None:
    """If this is root: an open file, made just now, gets the owner and group of `model`, or else of its folder.

    As far as the file system allows it. Never for a file that was there: in a folder of somebody else it could be
    anything, by a link.
    """
    if os.geteuid() == 0:
        with suppress(OSError):
            owner = (model if model.exists() else model.parent).stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


def make_folder(path: Path) -> None:
    """Make it, for its owner alone, and what is missing above it. Raises OSError."""
    if path.is_dir():
        return
    if not path.parent.is_dir():
        _make(path.parent, 0o777)
    _make(path, 0o700)


def _make(path: Path, mode: int) -> None:
    if not path.parent.is_dir():
        _make(path.parent, mode)
    path.mkdir(mode, exist_ok=True)
    if os.geteuid() == 0:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            give_to_owner_of(path.parent, descriptor)
        finally:
            os.close(descriptor)


def why_denied(paths: Iterable[Path]) -> str | None:
    """The first of these, or of the folders they are in, that this user can't read and write; with owner and remedy.

    None if there is none: then something else is wrong.
    """
    paths = list(paths)
    folders = {path.absolute().parent for path in paths}
    above = {upper for folder in folders for upper in folder.parents}
    for path in sorted(above, key=lambda upper: len(upper.parts)):
        if os.path.lexists(path) and not _may(path, os.X_OK):
            return _denied(path, os.X_OK)
    for path in [*sorted(folders), *paths]:
        wanted = os.W_OK | (os.X_OK if path in folders else os.R_OK)
        if os.path.lexists(path) and not _may(path, wanted):
            return _denied(path, wanted)
    return None


def _may(path: Path, wanted: int) -> bool:
    return os.access(path, wanted, effective_ids=os.access in os.supports_effective_ids)


def _denied(path: Path, wanted: int) -> str:
    try:
        found = path.stat()
        read_only = os.statvfs(path).f_flag & os.ST_RDONLY
    except OSError as error:
        return f"{path} can't be used ({error.strerror})"
    if read_only and wanted & os.W_OK:
        return f"{path} is on a file system that is mounted read-only; mount it for writing"
    user = user_name(os.geteuid())
    if path.is_symlink():
        # chown and chmod would change what it leads to.
        remedy = "it is a link: look where it leads"
    elif found.st_uid == os.geteuid():
        remedy = f"run: chmod u+{'rwx' if stat.S_ISDIR(found.st_mode) else 'rw'} {quote(str(path))}"
    elif stat.S_ISDIR(found.st_mode):
        remedy = "let that user in, or choose another store.url"
    else:
        remedy = f"run as root: chown {user.removeprefix(_NAMELESS)} {quote(str(path))}"
    return (
        f"{path} can't be used by {user}: it belongs to {user_name(found.st_uid)}, "
        f"mode {stat.S_IMODE(found.st_mode):o}; {remedy}"
    )


def user_name(number: int) -> str:
    """By the id: the environment could say anything."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"{_NAMELESS}{number}"
