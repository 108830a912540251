"""The master key beside an SQLite store: a file with mode 0600, a key a line. The first line seals."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from server.errors import StoreRefused
from server.ids import Ids
from server.store.file_lock import FileLock

_KEY_BYTES = 32
_MINIMUM_LENGTH = 32


@contextmanager
def unchanged(path: Path) -> Iterator[None]:
    """While the block runs, no other process changes that file. Raises StoreRefused if one does so just now."""
    lock = FileLock(path.with_name(path.name + ".lock"))
    try:
        if not lock.try_acquire():
            raise StoreRefused(f"another process is changing {path}; wait for it")
        yield
    finally:
        lock.close()


class MasterKeyFile:
    """The file, which is read anew each time: another process may have changed the key."""

    def __init__(self, path: Path, ids: Ids) -> None:
        self._path = path
        self._ids = ids

    @property
    def is_missing(self) -> bool:
        """Whether there is no file, which is so at the first start, and when it was lost."""
        return not self._path.exists()

    def make(self) -> None:
        """At the first start, when nothing is sealed yet. Two processes that start at once agree on one key."""
        if self.is_missing:
            self._write([self._new_key()], keep_existing=True)

    def read(self) -> list[str]:
        """The keys. Raises StoreRefused if the file is missing, can be read by others, or is not a key."""
        path = self._path
        try:
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise StoreRefused(f"{path} can be read by other users; run: chmod 600 {path}")
            keys = [line.strip() for line in path.read_text("ascii").splitlines() if line.strip()]
        except FileNotFoundError:
            raise StoreRefused(
                f"{path} is missing, the master key that this store's keys are sealed with; "
                "put the one of the backup there, with mode 0600"
            ) from None
        except (OSError, UnicodeDecodeError):
            raise StoreRefused(f"{path} can't be read as a master key; restore it from a backup") from None
        if not keys or any(len(key) < _MINIMUM_LENGTH for key in keys):
            raise StoreRefused(f"{path} does not hold a master key; restore it from a backup")
        return keys

    @contextmanager
    def changing(self) -> Iterator[None]:
        """A new key stands first while the block runs, which seals everything anew; then it stands alone.

        Whatever happens on the way, even `kill -9`, a key that opens the store is in the file. Raises StoreRefused if
        another process does the same just now.
        """
        with unchanged(self._path):
            new = self._new_key()
            self._write([new, *self.read()])
            yield
            self._write([new])

    def _new_key(self) -> str:
        return base64.b64encode(self._ids.random_bytes(_KEY_BYTES)).decode("ascii")

    def _write(self, keys: Sequence[str], *, keep_existing: bool = False) -> None:
        """Whole before it gets its name; `keep_existing`: unless another process was faster."""
        # Not the process id: in a container it is the same at every start, and a draft may be left of one that died.
        draft = self._path.with_name(f"{self._path.name}.{self._ids.random_bytes(8).hex()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.writelines(f"{key}\n" for key in keys)
                file.flush()
                os.fsync(file.fileno())
            if keep_existing:
                with suppress(FileExistsError):
                    self._path.hardlink_to(draft)
            else:
                draft.replace(self._path)
        finally:
            draft.unlink(missing_ok=True)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
