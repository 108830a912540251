"""A stream for log lines that never fails."""

from __future__ import annotations

from contextlib import suppress
from typing import TextIO


class SteadyStream:
    """A stream that ignores failed writes.

    If the log is a closed pipe or its disk is full, requests and background tasks must go on.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text. Returns its length, also if the write failed."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream, and ignore a failure."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream.isatty()
