"""What the streams have in common that write whole lines to a descriptor without keeping their caller waiting."""

from __future__ import annotations

import io
import os
import stat
from typing import BinaryIO, TextIO, cast


class LineStream(io.RawIOBase):
    """The base of WriterThread and PatientWriter."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        # Whether several writers can mix their data there: a file appends each write as a whole.
        mode = os.fstat(descriptor).st_mode
        self._shared = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)

    def text(self, encoding: str) -> TextIO:
        """A text stream that writes whole lines to this one; characters outside the encoding are escaped."""
        return io.TextIOWrapper(cast("BinaryIO", self), encoding, "backslashreplace", line_buffering=True)

    def writable(self) -> bool:
        """Always true; the io module asks for it."""
        return True

    def isatty(self) -> bool:
        """Whether the descriptor is a terminal."""
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        """The descriptor, for code that writes by itself."""
        return self._descriptor
