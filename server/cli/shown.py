"""Prints text that somebody has to see, such as the only password of a new store."""

from __future__ import annotations

import os
import select
import sys
import time

from server.core.errors import WatchwordError
from server.logs.writer_thread import WriterThread

STANDARD_OUTPUT = 1
# Whoever reads it may have stopped to. The store waits too meanwhile, and gives up after 3 s (PostgreSQL) or 4 s.
WAIT_SECONDS = 2.0


def show(text: str, descriptor: int = STANDARD_OUTPUT) -> None:
    """Write to standard output without buffers. Raises WatchwordError if it does not take all of the text."""
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
            # A pipe takes so much without waiting.
            rest = rest[os.write(descriptor, rest[: select.PIPE_BUF]) :]
    except OSError as error:
        raise WatchwordError(f"output: it can't be written ({error.strerror})") from error
