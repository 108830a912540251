"""Makes sure that the standard streams are open, and that their failures are one line."""

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

# What standard output answers to a write when it can take no more, or never could.
OUTPUT_FAILURES = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EAGAIN}


def hold_standard_streams() -> None:
    """Occupy the numbers of closed ones, before a file of ours, such as the database, gets one of them.

    Output to a closed one fails as it did; only standard error goes nowhere.
    """
    for number, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            # It is the lowest number that is free.
            os.open(os.devnull, flags)
    if sys.stdin is None or fcntl.fcntl(0, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(_NoInput()))
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", line_buffering=True)
    if sys.stderr is None:
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), "utf-8", line_buffering=True)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A character that it has not is written as its number.
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
    """Leave nothing in the buffers: at its end the interpreter would write it, and wait or complain.

    `discard`: standard output has failed, or was interrupted.
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
