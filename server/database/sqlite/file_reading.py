"""Reads a file by a connection of its own, which another thread may interrupt: a check of a large one takes long."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from server.database.sqlite.contents import uri


class FileReading:
    """One connection at a time, a new one for each reading, since an old one has pages in memory."""

    def __init__(self, path: Path) -> None:
        self._where = uri(path, "mode=ro")
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Open it for the time of the context. Raises sqlite3.Error."""
        with closing(
            sqlite3.connect(self._where, uri=True, isolation_level=None, check_same_thread=False)
        ) as connection:
            self._connection = connection
            try:
                yield connection
            finally:
                self._connection = None

    def interrupt(self) -> None:
        """End the statement that runs, if one does, by sqlite3.OperationalError. From any thread."""
        connection = self._connection
        if connection is not None:
            # It may be closed in this moment.
            with suppress(sqlite3.ProgrammingError):
                connection.interrupt()
