"""The thread that writes log lines, so that nobody waits for who reads them."""

from __future__ import annotations

import fcntl
import io
import os
import select
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, TextIO, cast

# Some seconds of a busy server: a reader may rest for so long without a loss.
WAITING_BYTES = 4 * 1024 * 1024


class WriterThread(io.RawIOBase):
    """A descriptor that is written to by a thread, so nobody waits for whoever reads it.

    What does not fit into WAITING_BYTES is dropped and counted, and so is what can't be written. `tell_dropped` gets
    the number of lines, on the thread, as soon as lines go out again. The descriptor itself stays as it is: to set
    O_NONBLOCK would set it for all processes that share it.
    """

    def __init__(self, descriptor: int, tell_dropped: Callable[[int], None]) -> None:
        self._descriptor = descriptor
        self._tell_dropped = tell_dropped
        self._shared = _is_pipe_or_socket(descriptor)
        self.start()

    def start(self) -> None:
        """Begin with nothing waiting; also anew in a forked process, where the thread and its lock are left behind."""
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._dropped = 0
        self._busy = False
        self._failed = self._mid_line = False
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def write(self, data: Any) -> int:
        """Whole lines, to be written soon. Never waits, never fails."""
        chunk = bytes(data)
        with self._changed:
            if self._waiting_bytes + len(chunk) > WAITING_BYTES:
                self._dropped += _lines(chunk)
            else:
                self._waiting.append(chunk)
                self._waiting_bytes += len(chunk)
                self._changed.notify_all()
        return len(chunk)

    def text(self, encoding: str) -> TextIO:
        """A text stream that ends here, in whole lines; characters that the encoding has not are written as numbers."""
        return io.TextIOWrapper(cast("BinaryIO", self), encoding, "backslashreplace", line_buffering=True)

    def drain(self, seconds: float) -> None:
        """Wait until everything is written, but no longer than this."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._busy or self._waiting), seconds)

    def writable(self) -> bool:
        """As io asks for it."""
        return True

    def isatty(self) -> bool:
        """Whether people read along."""
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        """The descriptor, for those who have to write past the thread."""
        return self._descriptor

    def _run(self) -> None:
        while True:
            batch, dropped = self._take()
            if dropped:
                # Into the queue, behind what is in this batch. Without the lock: it takes that of the logger.
                self._tell_dropped(dropped)
            if self._mid_line and batch and self._put(b"\n"):
                self._mid_line = False
            written = 0 if self._mid_line else self._put(batch)
            with self._changed:
                self._failed = written < len(batch)
                if self._failed:
                    self._dropped += _lines(batch[written:])
                    # A disk that was full in the middle of a line: the next one that fits begins anew.
                    self._mid_line = self._mid_line or (written > 0 and batch[written - 1 : written] != b"\n")

    def _take(self) -> tuple[bytes, int]:
        """What waits, and how many lines were dropped if it may be told now: a full disk would drop that too."""
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
        """Write; how many bytes of it could be written."""
        written = 0
        with suppress(OSError), self._alone(), memoryview(batch) as view:
            while written < len(batch):
                try:
                    written += os.write(self._descriptor, view[written:])
                except BlockingIOError:
                    # Somebody who shares it has set O_NONBLOCK.
                    ready = select.poll()
                    ready.register(self._descriptor, select.POLLOUT)
                    ready.poll()
        return written

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Workers share one pipe, which cuts what is longer than PIPE_BUF wherever it is full."""
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


def _is_pipe_or_socket(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _lines(chunk: bytes) -> int:
    return chunk.count(b"\n") or 1
