"""What is known of a file as a whole: a line in the lock file of its server, for all workers and the next start.

The line is `quick_check` or `integrity_check`, if the file is still to be checked so; `damaged` with the first damage;
or there is none.
"""

from __future__ import annotations

import os
from contextlib import suppress

from server.database.sqlite.integrity import Check

_CHECKS: tuple[Check, ...] = ("quick_check", "integrity_check")
_DAMAGED = "damaged "
# More than a line of damage.
_MOST_BYTES = 4096


class CheckNote:
    """The line, by a descriptor that all processes of a server have. What can't be read is taken for no line."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @property
    def damage(self) -> str | None:
        """The damage that was found, and has not been mended since. It takes a microsecond."""
        line = self._line()
        return line.removeprefix(_DAMAGED) if line.startswith(_DAMAGED) else None

    @property
    def check(self) -> Check | None:
        """The check that is still to be made."""
        line = self._line()
        return next((check for check in _CHECKS if check == line), None)

    def tell_damage(self, problem: str) -> None:
        """Tell all processes, and the next start."""
        self._write(_DAMAGED + problem)

    def tell_unchecked(self, check: Check) -> bool:
        """The file is to be checked so. False if this could not be written."""
        self._write(check)
        return self.check == check

    def clear(self) -> None:
        """The whole file was checked just now, and is well."""
        if self._line():
            self._write("")

    def clear_check(self) -> None:
        """The check was made. What another process has found meanwhile stays."""
        if self.check is not None:
            self._write("")

    def _line(self) -> str:
        with suppress(OSError):
            return os.pread(self._descriptor, _MOST_BYTES, 0).decode("utf-8", "replace").partition("\n")[0]
        return ""

    def _write(self, line: str) -> None:
        # In one call, so that nobody reads a half of it. What is left of a longer one is cut off afterwards.
        content = f"{line}\n".encode()[:_MOST_BYTES] if line else b""
        with suppress(OSError):
            os.pwrite(self._descriptor, content or b"\n", 0)
            os.ftruncate(self._descriptor, len(content))
