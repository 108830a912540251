"""Handling of the signals that end a server or a command.

This module is imported before all others, so it imports little.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# A supervisor such as docker usually kills a process ten seconds after SIGTERM, so shutdown takes less.
END_SECONDS = 8.5
# The parent process waits a little longer than its workers, so they end first.
PARENT_END_SECONDS = 8.8
# An event loop that has not heard of a signal after this time is held up by what it has called.
TURN_SECONDS = 0.3
# Writing the last log lines may take this long, in addition to the times above.
LOG_SECONDS = 1.0

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
UNUSED = (signal.SIGUSR1, signal.SIGUSR2)
# All that a server takes.
TAKEN = (*ENDING, signal.SIGHUP, *UNUSED)


def signal_name(number: int) -> str:
    """As people know it. Most of the real-time signals (signal(7)) have no name of their own."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class ServerSignals:
    """A thread that receives all signals of a server, even while the other threads are busy.

    The signals are blocked in every thread, and this thread waits for them. So no signal is lost, even if process 1 of
    a container still imports modules, and a call that waits for a lock or a name server need not be interrupted.
    """

    # Constant: server signals never raise KeyboardInterrupt. CommandSignals has the same attributes.
    interrupted = False
    code = 0

    def __init__(self) -> None:
        # The server sets these: `drain` writes the last log lines within these seconds, `tell_unused` logs a signal.
        self.drain: Callable[[float], None] | None = None
        self.tell_unused: Callable[[str], None] | None = None
        self.asked = False
        self.seconds = END_SECONDS
        self._end: Callable[[], object] | None = None
        self._reload: Callable[[], object] | None = None
        # Whether SIGHUP has come when nobody could reload yet.
        self.hangup_waits = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, and block the signals in all others."""
        signal.pthread_sigmask(signal.SIG_BLOCK, TAKEN)
        # nohup ignores SIGHUP, and what is ignored can't be waited for.
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        self._thread = threading.Thread(target=self._run, name="signals", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Does nothing: the thread takes signals until the process has ended."""

    def stop(self) -> None:
        """End the thread. The signals stay blocked, so those that come from now on wait for whoever takes them."""
        thread, self._thread = self._thread, None
        if thread is not None and thread.ident is not None:
            signal.pthread_kill(thread.ident, UNUSED[-1])
            thread.join()

    @contextmanager
    def calling(self, end: Callable[[], object]) -> Iterator[None]:
        """Within this context a request to end calls `end` from the signal thread, or at once if it came before.

        Outside of such a context nothing has to be closed, so the process just exits.
        """
        with self._lock:
            outer, self._end = self._end, end
            if self.asked:
                end()
        try:
            yield
        finally:
            with self._lock:
                self._end = outer

    def on_hangup(self, reload: Callable[[], object]) -> None:
        """At each SIGHUP call `reload` from the signal thread, and at once if one came before."""
        with self._lock:
            self._reload = reload
            if self.hangup_waits:
                reload()

    def _take_hangup(self) -> None:
        with self._lock:
            if self._reload is None:
                # The start may have read the settings before they were changed.
                self.hangup_waits = True
            else:
                self._reload()

    def ask(self, code: int = 0) -> None:
        """Ask the process to end. If it still runs after `seconds`, it is ended by force with this exit code."""
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
            number = signal.sigwait(TAKEN)
            if self._thread is None:
                # This is the signal of `stop`; or another one, which has to wait then.
                if number != UNUSED[-1]:
                    os.kill(os.getpid(), number)
                return
            if number == signal.SIGHUP:
                self._take_hangup()
                continue
            if number in UNUSED:
                if self.tell_unused is not None:
                    self.tell_unused(signal.Signals(number).name)
                continue
            # Only a second Ctrl-C counts: after Ctrl-C in a terminal, workers also get SIGTERM from their parent.
            interrupts += number == signal.SIGINT
            if interrupts == 2:
                self._exit(128 + signal.SIGINT)
            self.ask()

    def _exit(self, code: int) -> None:
        if self.drain is not None:
            self.drain(LOG_SECONDS)
        os._exit(code)


# Calls what it is given from the event loop that runs, and cancels its work; None while there is none (`cancelling`).
_cancel: Callable[[Callable[[], object]], object] | None = None


@contextmanager
def cancelling(cancel: Callable[[Callable[[], object]], object]) -> Iterator[None]:
    """Within this context the first signal to a command calls `cancel`, from any place in the main thread.

    A KeyboardInterrupt in the middle of what an event loop calls may be lost there, or leave the C code of a driver
    with half a message: asyncpg has crashed the process. So the loop is told, and cancels the work in its next turn.
    """
    global _cancel  # noqa: PLW0603 - a process has one handler of each signal
    _cancel = cancel
    try:
        yield
    finally:
        _cancel = None


class CommandSignals:
    """Ctrl-C, SIGTERM and SIGHUP interrupt a command at any point, even while it waits for a reader of its output.

    KeyboardInterrupt, or the event loop (`cancelling`), lets the command undo its work. A second signal ends it at
    once; so does an undo of END_SECONDS.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._unheard = False
        self._postponing = False
        self._postponed = False

    def start(self) -> None:
        """Install the handlers."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup ignores SIGHUP.
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._interrupt)

    def finish(self) -> None:
        """From now on a signal changes nothing, since the command is done: its exit code stays what it is."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.alarm(0)

    @contextmanager
    def postponed(self) -> Iterator[None]:
        """Within this context the first signal is ignored, so a step is done whole. A second one ends it at once."""
        self._postponing = True
        try:
            yield
        finally:
            self._postponing = False

    @property
    def interrupted(self) -> bool:
        """Whether a signal came."""
        return self._number is not None

    @property
    def code(self) -> int:
        """The exit code of a command that was interrupted, as shells know it."""
        return 128 + (self._number or signal.SIGINT)

    def _heard(self) -> None:
        self._unheard = False
        signal.alarm(int(END_SECONDS))

    def _interrupt(self, number: int, _: object) -> None:
        if number == signal.SIGALRM and self._unheard:
            # The event loop has made no turn: what it has called waits, for example for a reader.
            self._heard()
            raise KeyboardInterrupt
        if self._number is not None:
            os._exit(self.code)
        if self._postponing:
            if self._postponed:
                os._exit(128 + number)
            self._postponed = True
            return
        self._number = number
        signal.signal(signal.SIGALRM, self._interrupt)
        # Messages of libraries about the interruption would only confuse the user.
        sys.unraisablehook = lambda _: None
        if "logging" in sys.modules:
            sys.modules["logging"].disable()
        if _cancel is None:
            self._heard()
            raise KeyboardInterrupt
        self._unheard = True
        signal.setitimer(signal.ITIMER_REAL, TURN_SECONDS)
        _cancel(self._heard)
