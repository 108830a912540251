"""The file beside an SQLite store that holds the master key: mode 0600, one key per line, the first one seals."""

from __future__ import annotations

import base64
import codecs
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from server.core.errors import StoreRefused
from server.core.ids import Ids
from server.database.open import sqlite_path
from server.files.drafts import make
from server.files.file_lock import WAIT_SECONDS, FileLock
from server.files.ownership import user_name, why_denied
from server.files.syncing import sync
from server.settings import Settings

_KEY_BYTES = 32
_MINIMUM_LENGTH = 32
_PAUSE_SECONDS = 0.005


@contextmanager
def unchanged(path: Path, *, wait_seconds: float = 0) -> Iterator[None]:
    """Keep other processes from changing the file during the block. Raises StoreRefused if one does so now."""
    lock = FileLock(path.with_name(path.name + ".lock"))
    deadline = time.monotonic() + wait_seconds
    try:
        while not lock.try_acquire():
            if time.monotonic() >= deadline:
                raise StoreRefused(f"another process is changing {path}; wait for it")
            time.sleep(_PAUSE_SECONDS)
        yield
    finally:
        lock.close()


def read_keys(path: Path) -> list[str]:
    """The keys in the file. Raises StoreRefused if it is missing, unreadable, readable by others, or holds no key."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise StoreRefused(f"{path} is no file; put the master key of the backup there, with mode 0600")
        if stat.S_IMODE(mode) & 0o077:
            raise StoreRefused(f"{path} can be read by other users; run: chmod 600 {path}")
        # Some editors put a byte order mark of three bytes in front.
        text = path.read_bytes().removeprefix(codecs.BOM_UTF8).decode("ascii")
    except FileNotFoundError:
        raise StoreRefused(
            f"{path} is missing, the master key that this store's keys are sealed with; "
            "put the one of the backup there, with mode 0600"
        ) from None
    except PermissionError:
        raise StoreRefused(why_denied([path]) or f"{path} can't be read by this user; look at its rights") from None
    except OSError as error:
        raise StoreRefused(f"{path}, the master key, can't be read ({error.strerror}); look at the disk") from None
    except UnicodeDecodeError:
        raise StoreRefused(f"{path} can't be read as a master key, it is not ASCII; restore it from a backup") from None
    keys = [line.strip() for line in text.splitlines() if line.strip()]
    if not keys or any(len(key) < _MINIMUM_LENGTH for key in keys):
        raise StoreRefused(f"{path} does not hold a master key; restore it from a backup")
    return keys


def master_key_path(settings: Settings) -> Path | None:
    """The path of the master key beside the SQLite store; None if the key is in the settings."""
    if settings.keys.master_key or not settings.store.is_sqlite:
        return None
    path = sqlite_path(settings.store.url)
    return path.with_name(path.name + ".key")


def master_key_file(settings: Settings, ids: Ids) -> MasterKeyFile | None:
    """The file of the master key; None if the key is in the settings."""
    path = master_key_path(settings)
    return None if path is None else MasterKeyFile(path, ids)


class MasterKeyFile:
    """The file. It is read again each time, since another process may have changed the key."""

    def __init__(self, path: Path, ids: Ids) -> None:
        self._path = path
        self._ids = ids

    @property
    def is_missing(self) -> bool:
        """Whether there is no file: this is the first start, or the file was lost."""
        return not os.path.lexists(self._path)

    def make(self) -> None:
        """Make the file at the first start, when nothing is sealed yet. Raises StoreRefused.

        If two processes start at the same moment, both use the same key.
        """
        if self.is_missing:
            with unchanged(self._path, wait_seconds=WAIT_SECONDS):
                if self.is_missing:
                    self._write([self._new_key()])

    def read(self) -> list[str]:
        """The keys in the file now. Raises StoreRefused like `read_keys`."""
        return read_keys(self._path)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Put a new key before the old ones, run the block, which seals all keys again, and then remove the old ones.

        At every moment, even after `kill -9`, the file holds a key that opens the store. Raises StoreRefused if another
        process is changing the file.
        """
        with unchanged(self._path):
            new = self._new_key()
            self._write([new, *self.read()])
            yield
            self._write([new])

    def _new_key(self) -> str:
        return base64.b64encode(self._ids.random_bytes(_KEY_BYTES)).decode("ascii")

    def _write(self, keys: Sequence[str]) -> None:
        """Write a draft and rename it, with owner and mode of the old file. The caller holds the lock."""
        path = self._path
        draft = path.with_name(f"{path.name}.new")
        try:
            # A process that was killed may have left its draft.
            draft.unlink(missing_ok=True)
            try:
                # If there is no key yet, the owner is that of the database, whose name is the same without the suffix.
                descriptor = make(draft, owner_of=path if path.exists() else path.with_suffix(""))
                with os.fdopen(descriptor, "w", encoding="ascii") as file:
                    if path.exists():
                        _take_after(path, descriptor)
                    file.writelines(f"{key}\n" for key in keys)
                    file.flush()
                    os.fsync(descriptor)
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
            sync(path.parent)
        except OSError as error:
            reason = f"the master key {path} can't be written ({error.strerror}); look at the disk"
            raise StoreRefused(why_denied([path]) or reason) from error


def _take_after(path: Path, descriptor: int) -> None:
    """Give the new file the mode of the old one. Raises StoreRefused if the new file has another owner."""
    before = path.stat()
    if os.fstat(descriptor).st_uid != before.st_uid:
        raise StoreRefused(f"{path} belongs to {user_name(before.st_uid)}; run this as that user, or as root")
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
