"""Signals of the parent of workers. It has one thread, because a process with several must not fork (fork(2)).

So nothing waits for signals as in signals.py does. Handlers note them, and wake the one loop (signal.set_wakeup_fd).
"""

from __future__ import annotations

import signal
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from server.cli.signals import TAKEN

_NOTED = (*TAKEN, signal.SIGCHLD)


class ParentSignals:
    """Notes signals from `start` on. Until then they are blocked, so none is lost."""

    def __init__(self) -> None:
        self._came: deque[int] = deque()
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._woken.setblocking(False)

    def start(self) -> None:
        """Install the handlers and let the signals come."""
        # The process that started this one may have set SIGCHLD to be ignored; then no death would be reported.
        for number in _NOTED:
            signal.signal(number, lambda number, _: self._came.append(number))
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _NOTED)

    def fileno(self) -> int:
        """It can be read when a signal has come."""
        return self._woken.fileno()

    def take(self) -> list[signal.Signals]:
        """The signals that have come, in their order."""
        with suppress(BlockingIOError):
            while self._woken.recv(4096):
                pass
        came = []
        while self._came:
            came.append(signal.Signals(self._came.popleft()))
        return came

    def finish(self) -> None:
        """From now on a signal changes nothing, since the server has ended: its exit code stays what it is."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _NOTED)

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """No signal comes during the block. A child that is forked in it keeps them blocked."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _NOTED)
        try:
            yield
        finally:
            if self._wake.fileno() >= 0:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _NOTED)

    def leave(self) -> None:
        """In a child: forget all this. The signals stay blocked until `ServerSignals.start`."""
        signal.set_wakeup_fd(-1)
        for number in _NOTED:
            signal.signal(number, signal.SIG_DFL)
        self._wake.close()
        self._woken.close()
