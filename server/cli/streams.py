"""Keeps the standard streams open, and reports their failures in one line."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import select
import sys
from contextlib import suppress
from typing import Any

from server.core.errors import FileRefused

# The errors of a write to standard output that can take no more data, or never could.
OUTPUT_FAILURES = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EAGAIN}

# The errors of a file or socket that can't be opened, since there are as many as the system grants.
NO_DESCRIPTOR = {errno.EMFILE, errno.ENFILE}


def hold_standard_streams() -> None:
    """Occupy the descriptors of closed standard streams, so that no file of ours, such as the database, gets one.

    A write to closed standard output still fails. Output to closed standard error is discarded.
    """
    for number, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            # The system gives the lowest free number, which is this one.
            os.open(os.devnull, flags)
    if sys.stdin is None or fcntl.fcntl(0, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(_NoInput()))
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", line_buffering=True)
    if sys.stderr is None:
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), "utf-8", line_buffering=True)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A character that the encoding lacks is written as its number.
        sys.stdout.reconfigure(errors="backslashreplace")


class _NoInput(io.RawIOBase):
    """Standard input that can't be read."""

    def readable(self) -> bool:
        return True

    def readinto(self, _: Any) -> int:
        raise FileRefused("standard input is closed, and this command reads from it")


def tell(*lines: object) -> None:
    """Print lines on standard error, and ignore failures."""
    with suppress(OSError):
        for line in lines:
            print(line, file=sys.stderr)


def end_output(*, discard: bool) -> None:
    """Empty the buffers. Otherwise the interpreter would write them at its end, and block or complain.

    With `discard` the text for standard output is dropped, because writing has failed or was interrupted.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if discard:
        os.dup2(nowhere, 1)
    try:
        if not select.select([], [2], [], 0)[1]:
            raise BlockingIOError
        sys.stderr.flush()
    except OSError:
        os.dup2(nowhere, 2)
    os.close(nowhere)
