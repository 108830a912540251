"""The thread that writes log lines, so the event loop never waits for the reader of the log."""

from __future__ import annotations

import fcntl
import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from server.logs.line_stream import LineStream

# The log of a busy server for some seconds: if the reader stops for longer, lines are lost.
WAITING_BYTES = 4 * 1024 * 1024


class WriterThread(LineStream):
    """A stream whose writes are done by a thread, so they never block the caller.

    Lines that do not fit into WAITING_BYTES or can't be written are dropped and counted. When writing works again, the
    thread calls `tell_dropped` with the number of dropped lines. The descriptor is not set to O_NONBLOCK: that would
    change it for all processes that share it.
    """

    def __init__(self, descriptor: int, tell_dropped: Callable[[int], None]) -> None:
        super().__init__(descriptor)
        self._tell_dropped = tell_dropped
        self.start()

    def start(self) -> None:
        """Start the thread with an empty queue."""
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._dropped = 0
        self._busy = False
        self._failed = self._mid_line = False
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def write(self, data: Any) -> int:
        """Queue whole lines. Never blocks and never fails; returns the length."""
        chunk = bytes(data)
        with self._changed:
            if self._waiting_bytes + len(chunk) > WAITING_BYTES:
                self._dropped += _lines(chunk)
            else:
                self._waiting.append(chunk)
                self._waiting_bytes += len(chunk)
                self._changed.notify_all()
        return len(chunk)

    def drain(self, seconds: float) -> None:
        """Wait until all lines are written, but at most so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._busy or self._waiting), seconds)

    def _run(self) -> None:
        while True:
            batch, dropped = self._take()
            if dropped:
                # Its line goes into the queue. The call is made without our lock, since it takes the logger's lock.
                self._tell_dropped(dropped)
            if self._mid_line and batch and self._put(b"\n"):
                self._mid_line = False
            written = 0 if self._mid_line else self._put(batch)
            with self._changed:
                self._failed = written < len(batch)
                if self._failed:
                    self._dropped += _lines(batch[written:])
                    # The disk became full within a line; a line break goes before the next line that fits.
                    self._mid_line = self._mid_line or (written > 0 and batch[written - 1 : written] != b"\n")

    def _take(self) -> tuple[bytes, int]:
        """Take the queue and the count of dropped lines; after a failed write the count is 0 and kept for later."""
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or (self._dropped and not self._failed))
            self._busy = True
            batch, self._waiting, self._waiting_bytes = b"".join(self._waiting), [], 0
            dropped = 0
            if not self._failed:
                dropped, self._dropped = self._dropped, 0
            return batch, dropped

    def _put(self, batch: bytes) -> int:
        """Write the batch. Returns how many bytes were written."""
        written = 0
        with suppress(OSError), self._alone(), memoryview(batch) as view:
            while written < len(batch):
                try:
                    written += os.write(self._descriptor, view[written:])
                except BlockingIOError:
                    # Another process that shares the descriptor has set O_NONBLOCK.
                    ready = select.poll()
                    ready.register(self._descriptor, select.POLLOUT)
                    ready.poll()
        return written

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other workers from writing meanwhile: a full pipe splits writes of more than PIPE_BUF bytes."""
        if not self._shared:
            yield
            return
        with suppress(OSError):
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            with suppress(OSError):
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN)


def _lines(chunk: bytes) -> int:
    return chunk.count(b"\n") or 1
