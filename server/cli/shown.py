"""Prints text that somebody must see, such as the first password of a new store."""

from __future__ import annotations

import os
import select
import sys
import time

from server.core.errors import WatchwordError
from server.logs.writer_thread import WriterThread

STANDARD_OUTPUT = 1
# The reader may have stopped reading. The store waits meanwhile, and gives up after 3 s (PostgreSQL) or 4 s (SQLite).
WAIT_SECONDS = 2.0


def show(text: str, descriptor: int = STANDARD_OUTPUT) -> None:
    """Write to standard output without buffers. Raises WatchwordError if not all of the text can be written."""
    rest = text.encode()
    deadline = time.monotonic() + WAIT_SECONDS
    # Text that was printed before comes first.
    sys.stdout.flush()
    writer = getattr(sys.stdout, "buffer", None)
    if isinstance(writer, WriterThread):
        writer.drain(WAIT_SECONDS)
    try:
        while rest:
            writable = select.poll()
            writable.register(descriptor, select.POLLOUT)
            if not writable.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise WatchwordError("output: nobody reads it")
            # A pipe that is ready takes this much without blocking.
            rest = rest[os.write(descriptor, rest[: select.PIPE_BUF]) :]
    except OSError as error:
        raise WatchwordError(f"output: it can't be written ({error.strerror})") from error
