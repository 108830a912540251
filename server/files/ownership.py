"""Who owns a file: new files belong to the user who needs them, and a refusal says why a file can't be opened.

Commands are often run as root (`sudo watchword …`) while the server runs as another user. The server needs the files
that they make, so a new file gets the owner of the file beside it.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from shlex import quote

from server.files.syncing import sync

# In containers the user often has a number and no name.
_NAMELESS = "user "
# FS_IOC_GETFLAGS and FS_IMMUTABLE_FL of linux/fs.h.
_GET_FLAGS = 0x80086601
_IMMUTABLE = 0x10


def give_to_owner_of(model: Path, descriptor: int) -> None:
    """As root, give an open file the owner and group of `model`, or of its folder if there is no `model`.

    Failures are ignored, since some file systems have no owners. Call it only for a file that this process has just
    made: in the folder of another user, an existing name could be a link to any file.
    """
    if os.geteuid() == 0:
        with suppress(OSError):
            owner = (model if model.exists() else model.parent).stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


def make_folder(path: Path) -> None:
    """Make the folder with mode 700, and the folders above it that are missing. Raises OSError.

    Their names are on disk then: a file that is synced in a folder without a name would be lost with it.
    """
    if path.is_dir():
        return
    if not path.parent.is_dir():
        _make(path.parent, 0o777)
    _make(path, 0o700)


def _make(path: Path, mode: int) -> None:
    if not path.parent.is_dir():
        _make(path.parent, mode)
    path.mkdir(mode, exist_ok=True)
    # A folder in which this user may make others, but not look, can't be opened.
    with suppress(PermissionError):
        sync(path.parent)
    if os.geteuid() == 0:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            give_to_owner_of(path.parent, descriptor)
        finally:
            os.close(descriptor)


def why_denied(paths: Iterable[Path]) -> str | None:
    """Say which of these paths or their folders this user can't read and write, with its owner and what to do.

    Only the first such path is named. None means that all can be used, so the failure has another cause.
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
        leads = "; it is a link: look where it leads" if path.is_symlink() else ""
        return f"{path} can't be used ({error.strerror}){leads}"
    if read_only and wanted & os.W_OK:
        return f"{path} is on a file system that is mounted read-only; mount it for writing"
    if wanted & os.W_OK and _is_immutable(path):
        return f"{path} is immutable, so nobody can change it; run as root: chattr -i {quote(str(path))}"
    user = user_name(os.geteuid())
    if path.is_symlink():
        # chown and chmod would change the target of the link.
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


def _is_immutable(path: Path) -> bool:
    """Whether somebody has set the attribute `i`, as some file systems of Linux have it (ioctl_iflags(2))."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            flags = fcntl.ioctl(descriptor, _GET_FLAGS, bytes(8))
        finally:
            os.close(descriptor)
        return bool(int.from_bytes(flags[:4], sys.byteorder) & _IMMUTABLE)
    return False


def user_name(number: int) -> str:
    """The name of a user id. It does not come from the environment, which anybody can set."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"{_NAMELESS}{number}"
