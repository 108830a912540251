"""Signals: they end a server or a command at any moment.

This is imported before anything else, so it imports little.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# A supervisor usually kills a process after ten seconds (docker stop), so the end takes less.
END_SECONDS = 8.5
# Workers have ended before the process that waits for them gives them up.
PARENT_END_SECONDS = 8.8
# What was logged last may take so long to be read, also after that.
LOG_SECONDS = 1.0

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
_UNUSED = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class ServerSignals:
    """A thread that takes all signals of a server, however busy the others are.

    They are blocked in every thread and waited for in this one. So none is lost, also not by process 1 of a container
    while it imports; and what waits for a lock or a name server does not have to wake up for them.
    """

    # They raise nothing.
    interrupted = False
    code = 0

    def __init__(self) -> None:
        # Of a server: what writes its last lines, waiting no longer than these seconds; what tells of a signal.
        self.drain: Callable[[float], None] | None = None
        self.tell_unused: Callable[[str], None] | None = None
        self.asked = False
        self.seconds = END_SECONDS
        self._end: Callable[[], object] | None = None
        self._give_up: Callable[[], None] | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the thread. A forked process calls it again: fork does not copy the thread."""
        signal.pthread_sigmask(signal.SIG_BLOCK, (*_ENDING, *_UNUSED))
        self.asked = False
        self.seconds = END_SECONDS
        self._end = self._give_up = None
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="signals", daemon=True).start()

    @contextmanager
    def calling(self, end: Callable[[], object], give_up: Callable[[], None] | None = None) -> Iterator[None]:
        """Have `end` called, from another thread, when the end is asked for; at once if it was already.

        Outside of this, nothing is open that would have to be closed, so the process just ends. `give_up` is called
        before it is ended by force.
        """
        with self._lock:
            outer = self._end, self._give_up
            self._end, self._give_up = end, give_up
            if self.asked:
                end()
        try:
            yield
        finally:
            with self._lock:
                self._end, self._give_up = outer

    def ask(self, code: int = 0) -> None:
        """End the process with this exit code. When the time since the first call is over, it is ended by force."""
        with self._lock:
            if self.asked:
                return
            self.asked = True
            if (end := self._end) is None:
                self._exit(code)
                return
            deadline = threading.Timer(self.seconds, self._exit, [code])
            deadline.daemon = True
            deadline.start()
            end()

    def _run(self) -> None:
        interrupts = 0
        while True:
            number = signal.sigwait((*_ENDING, *_UNUSED))
            if number in _UNUSED:
                if self.tell_unused is not None:
                    self.tell_unused(signal.Signals(number).name)
                continue
            # Not any second signal: workers get Ctrl-C from the terminal, and SIGTERM from their parent then.
            interrupts += number == signal.SIGINT
            if interrupts == 2:
                self._exit(128 + signal.SIGINT)
            self.ask()

    def _exit(self, code: int) -> None:
        if self._give_up is not None:
            self._give_up()
        if self.drain is not None:
            self.drain(LOG_SECONDS)
        os._exit(code)


class CommandSignals:
    """Ctrl-C, SIGTERM and SIGHUP interrupt a command wherever it is, even where it waits for its output to be read.

    What it has begun is undone on the way out. A second signal ends it at once, and so does a way out that takes long.
    """

    def __init__(self) -> None:
        self._number: int | None = None

    def start(self) -> None:
        """Install the handlers."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup ignores SIGHUP.
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._interrupt)

    @property
    def interrupted(self) -> bool:
        """Whether a signal came."""
        return self._number is not None

    @property
    def code(self) -> int:
        """The exit code of a command that was interrupted, as shells know it."""
        return 128 + (self._number or signal.SIGINT)

    def _interrupt(self, number: int, _: object) -> None:
        if self._number is not None:
            os._exit(self.code)
        self._number = number
        signal.signal(signal.SIGALRM, self._interrupt)
        signal.alarm(int(END_SECONDS))
        # What libraries say of an interruption is of no use to anybody.
        sys.unraisablehook = lambda _: None
        if "logging" in sys.modules:
            sys.modules["logging"].disable()
        raise KeyboardInterrupt
