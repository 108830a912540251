"""`python -m server` whose wall clock is ahead by the seconds in a file, which a test changes while it runs.

SQLite and PostgreSQL keep the time of the machine, as a database server with another clock does.
"""

from __future__ import annotations

import os
from pathlib import Path

from server.cli import main
from watchword_client.clock import SystemClock

FILE = "STEPPED_CLOCK"


class _Ahead:
    """Reads the file again when it is another one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = (0, 0)

    def ms(self) -> int:
        changed_at = self._path.stat().st_mtime_ns
        if changed_at != self._known[0]:
            self._known = (changed_at, int(self._path.read_text()) * 1000)
        return self._known[1]


def set_clock(path: Path, seconds: int) -> None:
    """Set the clock of all processes that have this file, at once."""
    draft = path.with_suffix(".new")
    draft.write_text(str(seconds))
    draft.replace(path)


if __name__ == "__main__":
    ahead, of_the_machine = _Ahead(Path(os.environ[FILE])), SystemClock.now_ms

    def now_ms(self: SystemClock) -> int:
        return of_the_machine(self) + ahead.ms()

    SystemClock.now_ms = now_ms  # type: ignore[method-assign]
    main()
