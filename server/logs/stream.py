"""A stream for log lines that never fails."""

from __future__ import annotations

from contextlib import suppress
from typing import TextIO


class SteadyStream:
    """A stream that swallows what can't be written.

    A closed pipe or a full disk behind the log must end neither a request nor a background task.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """All of it, or nothing."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """As far as it goes."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Whether people read along."""
        return self._stream.isatty()
