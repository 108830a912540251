"""Writes lines without a thread and without ever waiting, for the parent of workers, which must have one thread."""

from __future__ import annotations

import fcntl
import os
import select
import time
from collections import deque
from typing import Any

from server.logs.line_stream import LineStream

# The parent says little. If nobody reads even that, later lines are dropped.
WAITING_BYTES = 65536
_PAUSE_SECONDS = 0.01


class PatientWriter(LineStream):
    """A stream whose lines wait until their reader takes them. `advance` tries again; call it now and then."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._waiting: deque[bytes] = deque()

    def write(self, data: Any) -> int:
        """Write whole lines, or keep them. Never blocks and never fails; returns the length."""
        chunk = bytes(data)
        if sum(map(len, self._waiting)) < WAITING_BYTES:
            self._waiting.append(chunk)
        self.advance()
        return len(chunk)

    def advance(self) -> None:
        """Write as much of what waits as its reader takes now."""
        while self._waiting:
            # So much goes into a pipe at once, if it can be written at all (pipe(7)), so the write does not block.
            part = self._waiting[0][: select.PIPE_BUF]
            try:
                written = self._write(part)
            except OSError:
                written = len(self._waiting[0])
            if written == 0:
                return
            rest = self._waiting.popleft()[written:]
            if rest:
                self._waiting.appendleft(rest)

    def drain(self, seconds: float) -> None:
        """Wait until all is written, but at most so many seconds."""
        deadline = time.monotonic() + seconds
        while self._waiting and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)
            self.advance()

    def forget(self) -> None:
        """Drop what waits: in a forked process, since the parent still has it."""
        self._waiting.clear()

    def _write(self, part: bytes) -> int:
        """Write without waiting; 0 if that can't be now. A worker that writes a longer piece holds the same lock."""
        if self._shared:
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return 0
            except OSError:
                # There are no locks on this kind of file.
                self._shared = False
        try:
            writable = select.poll()
            writable.register(self._descriptor, select.POLLOUT)
            return os.write(self._descriptor, part) if writable.poll(0) else 0
        except BlockingIOError:
            return 0
        finally:
            if self._shared:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN)
