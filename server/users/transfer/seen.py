"""The names and ids that a file has used so far."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence


class Seen:
    """Each key with the number of the place where it occurred first.

    Beyond a few megabytes the keys are on disk, so the import can read a file of any size.
    """

    def __init__(self) -> None:
        # With an empty path SQLite makes a private database that is deleted when it is closed.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE seen (key TEXT PRIMARY KEY, place INTEGER NOT NULL) WITHOUT ROWID")
        # One transaction that is never committed, since nothing has to be kept.
        self._database.execute("BEGIN")

    def earlier_place(self, keys: Sequence[str]) -> int | None:
        """The place where one of the keys occurred before; None if there is none."""
        for key in keys:
            row = self._database.execute("SELECT place FROM seen WHERE key = ?", (key,)).fetchone()
            if row is not None:
                place: int = row[0]
                return place
        return None

    def add(self, keys: Sequence[str], place: int) -> None:
        """Remember keys that are new."""
        self._database.executemany("INSERT INTO seen (key, place) VALUES (?, ?)", [(key, place) for key in keys])

    def close(self) -> None:
        """Forget everything."""
        self._database.close()
