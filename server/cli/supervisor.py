"""The parent of workers: it forks them, replaces those that die or hang, and ends them in order.

It has one thread and no event loop, since a process with threads must not fork. It never opens the store. Its first
child prepares the store and ends, so that is done once; then come the workers. In a child `Supervisor.run` returns.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import structlog
import typer

from server.cli.channel import Channel
from server.cli.child import Child, Inherited, Process, die_with
from server.cli.hooks import Hooks
from server.cli.parent_signals import ParentSignals
from server.cli.restarts import Restarts
from server.cli.signals import ENDING, PARENT_END_SECONDS, signal_name
from server.core.errors import WatchwordError
from server.http.listening import begin_to_listen
from server.settings import Settings

BACKLOG = 1024
TICK_SECONDS = 1.0
# A worker whose event loop has not answered for so long is killed. A busy one answers within milliseconds.
HUNG_SECONDS = 15.0
# If the parent itself did not run for so long, because all were stopped or the machine slept, nobody is late.
PAUSE_SECONDS = 5.0
# The pause before a worker that could not reach the store is started again, or one that could not be forked.
RETRY_SECONDS = 5.0
# How long killed workers may take to be gone, before the parent ends without them.
KILLED_SECONDS = 0.3
# The exit codes of a worker that somebody has ended: it was asked to, by a second Ctrl-C, or killed.
_ENDED_BY_OTHERS = {0, 128 + signal.SIGINT, -signal.SIGKILL}
# A start that fails with one of these has said why.
_SAID_WHY = {1, 2}

_log = structlog.get_logger("watchword")


class Supervisor:
    """Use `run`. `settings` are those that the next worker starts with; they may be replaced."""

    def __init__(self, count: int, settings: Settings, inherited: Inherited, hooks: Hooks | None = None) -> None:
        self.settings = settings
        self._count = count
        self._inherited = inherited
        self._hooks = hooks or Hooks()
        self._signals = ParentSignals()
        self._restarts = Restarts(count)
        self._processes: dict[int, Process] = {}
        # When a worker is to be forked, by its number.
        self._due: dict[int, float] = {}
        self._greeting: str | None = None
        self._was_ready = False
        self._interrupts = 0
        self._ends_by: float | None = None
        self._code = 0

    def run(self) -> Child:
        """Supervise. Returns in each child, with signals blocked; the parent ends here, by typer.Exit."""
        gc.collect()
        gc.freeze()
        self._signals.start()
        try:
            child = self._fork(None)
        except BlockingIOError as error:
            raise WatchwordError(
                f"no process can be started ({error.strerror}); raise the limit of processes (ulimit -u, TasksMax= of "
                "systemd)"
            ) from None
        ticked = turned = time.monotonic()
        while child is None:
            self._wait(ticked + TICK_SECONDS)
            now = time.monotonic()
            if now - turned > PAUSE_SECONDS:
                for process in self._processes.values():
                    process.heard_at = now
            turned = now
            for number in self._signals.take():
                self._take(number)
            for process in list(self._processes.values()):
                self._hear(process, now)
            self._reap(now)
            if now >= ticked + TICK_SECONDS:
                ticked = now
                self._kill_hung(now)
                self._call(self._hooks.tick)
            self._end_if_over(now)
            child = self._fork_due(now)
        return child

    def tell(self, kind: str, body: Any = None) -> None:
        """Send a message to all workers. It never blocks; a worker that does not read now gets it later."""
        for process in self._workers():
            process.channel.send(kind, body)

    def ready_workers(self) -> set[int]:
        """The numbers of those that accept requests."""
        return {
            process.number for process in self._processes.values() if process.number is not None and process.is_ready
        }

    def end(self, code: int = 0) -> None:
        """Let the server end with this exit code, unless it ends already."""
        if self._ends_by is not None:
            return
        self._ends_by = time.monotonic() + PARENT_END_SECONDS
        self._code = code
        self._due.clear()
        self._call(self._hooks.stopping)
        # While the socket is open here, a new connection would wait for an accept in vain.
        self._inherited.listening.close()
        for process in self._processes.values():
            # A process that is stopped has to continue before it can end.
            process.send(signal.SIGTERM, signal.SIGCONT)

    def _workers(self) -> Iterator[Process]:
        return (process for process in self._processes.values() if process.number is not None)

    def _wait(self, until: float) -> None:
        """Wait for a signal, a message, or the next thing to do."""
        times = [until, *self._due.values(), *([] if self._ends_by is None else [self._ends_by])]
        awaited = select.poll()
        awaited.register(self._signals, select.POLLIN)
        for process in self._processes.values():
            if not process.channel.has_ended:
                awaited.register(process.channel, select.POLLIN)
        awaited.poll(max(0.0, min(times) - time.monotonic()) * 1000)

    def _take(self, number: signal.Signals) -> None:
        if number in ENDING:
            self._interrupts += number == signal.SIGINT
            self.end()
            if self._interrupts >= 2:
                self._code, self._ends_by = 128 + signal.SIGINT, 0.0
        elif number == signal.SIGHUP:
            self._call(self._hooks.hangup)
        elif number != signal.SIGCHLD:
            _log.warning("a signal that is not used", signal=number.name)

    def _hear(self, process: Process, now: float) -> None:
        process.channel.flush()
        for message in process.channel.receive():
            process.heard_at = now
            if message.kind == "prepared":
                self._greeting = message.body
                self._inherited = replace(self._inherited, store=tuple(process.channel.descriptors))
            elif message.kind == "ready":
                process.is_ready = True
                self._note_ready(process)
            elif message.kind == "unavailable":
                process.misses_store = True
            elif process.number is not None:
                self._call(self._hooks.heard, process.number, message)

    def _note_ready(self, process: Process) -> None:
        self._restarts.note_ready()
        if self._was_ready:
            _log.info("a worker was replaced", pid=process.pid, worker=process.number)
        elif sum(process.is_ready for process in self._workers()) == self._count:
            self._was_ready = True
            print(self._greeting, flush=True)
            self._call(self._hooks.ready)

    def _reap(self, now: float) -> None:
        """Take notice of deaths. As process 1 of a container it has children that it did not fork (orphans)."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._processes:
                # What it said last, such as that the store is prepared.
                self._hear(self._processes[pid], now)
                process = self._processes.pop(pid)
                process.channel.close()
                self._note_death(process, os.waitstatus_to_exitcode(status), now)

    def _note_death(self, process: Process, code: int, now: float) -> None:
        if process.number is not None:
            self._inherited.balance.bury(process.number)
            self._call(self._hooks.died, process.number, process.pid)
        if self._ends_by is not None:
            self._code = self._code or int(code not in _ENDED_BY_OTHERS)
        elif process.number is None:
            self._note_preparation(process, code, now)
        elif code in _SAID_WHY and not self._was_ready:
            self.end(code)
        else:
            self._replace(process, process.number, code, now)

    def _note_preparation(self, process: Process, code: int, now: float) -> None:
        if code == 0 and self._greeting is not None:
            begin_to_listen(self._inherited.listening, BACKLOG)
            self._due = dict.fromkeys(range(self._count), now)
            return
        if code not in _SAID_WHY:
            _log.error("the start has failed", pid=process.pid, reason=_reason(code), next="the server ends")
        self.end(code if code in _SAID_WHY else 1)

    def _replace(self, process: Process, number: int, code: int, now: float) -> None:
        was_killed = code in _ENDED_BY_OTHERS and not process.was_hung
        # While the store is away, the others go on and answer what they can. This one has to come when it is back.
        pause: float | None = RETRY_SECONDS
        if not process.misses_store:
            pause = self._restarts.pause_after(now, was_ready=process.is_ready, was_killed=was_killed)
        reason = f"it did not answer for {HUNG_SECONDS:.0f} s" if process.was_hung else _reason(code)
        if pause is None:
            _log.error("workers die again and again, so the server ends", pid=process.pid, worker=number, reason=reason)
            self.end(1)
            return
        follows = "another one takes its place" + (f" in {pause:.1f} s" if pause else "")
        _log.error("a worker died", pid=process.pid, worker=number, reason=reason, next=follows)
        self._due[number] = now + pause

    def _kill_hung(self, now: float) -> None:
        for process in self._workers():
            if now - process.heard_at > 2 * TICK_SECONDS and process.is_stopped():
                process.heard_at = now
            if now - process.heard_at > HUNG_SECONDS and not process.was_hung:
                process.was_hung = True
                process.send(signal.SIGKILL)

    def _end_if_over(self, now: float) -> None:
        if self._ends_by is None:
            return
        if self._processes and now < self._ends_by:
            return
        for process in self._processes.values():
            process.send(signal.SIGKILL)
        deadline = now + KILLED_SECONDS
        while self._processes and time.monotonic() < deadline:
            self._reap(now)
            time.sleep(0.005)
        # Python takes the handlers away before the process is gone.
        self._signals.finish()
        raise typer.Exit(self._code)

    def _fork_due(self, now: float) -> Child | None:
        for number in [number for number, due in self._due.items() if due <= now]:
            del self._due[number]
            try:
                child = self._fork(number)
            except OSError as error:
                _log.error("a worker could not be forked", worker=number, reason=error.strerror, next="trying again")
                self._due[number] = now + RETRY_SECONDS
            else:
                if child is not None:
                    return child
        return None

    def _fork(self, number: int | None) -> Child | None:
        """Returns the child in the child, None in the parent. Raises OSError."""
        mine, other = socket.socketpair()
        parent = os.getpid()
        with self._signals.blocked():
            pid = os.fork()
            if pid == 0:
                die_with(parent)
                self._signals.leave()
                # A worker notices by the end of its channel that the parent is gone, so only the parent may have these.
                mine.close()
                for process in self._processes.values():
                    process.channel.close()
                return Child(number, self._count, self.settings, self._inherited, Channel(other))
        other.close()
        self._processes[pid] = Process(pid, number, Channel(mine), time.monotonic())
        if number is not None:
            self._call(self._hooks.forked, number, pid)
        return None

    def _call(self, hook: Callable[..., None], *arguments: object) -> None:
        try:
            hook(*arguments)
        except Exception:  # noqa: BLE001 - a defect there must not end the server
            _log.exception("a task of the parent of the workers failed")


def _reason(code: int) -> str:
    if code >= 0:
        return f"it ended with exit code {code}"
    return f"it was ended by {signal_name(-code)}"
