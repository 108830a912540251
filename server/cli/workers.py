"""`server.workers`: several processes that accept from one socket."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import suppress

import structlog
import typer

from server.cli.signals import PARENT_END_SECONDS, ServerSignals

_log = structlog.get_logger("watchword")


def become_workers(count: int, signals: ServerSignals, listening: socket.socket, greeting: str) -> int:
    """Fork workers. Returns only in the workers; the parent prints the greeting, waits for them and exits.

    Returns a descriptor that becomes readable when the parent is gone, however it ended.

    The parent passes a signal to end on to all workers. If one worker dies, the parent ends the others and exits with
    1, so that the supervisor of the server starts it again.
    """
    # Nothing is ever written to this pipe. It becomes readable at its end, when the last writer is gone.
    readable, writable = os.pipe()
    workers: set[int] = set()

    def end() -> None:
        # The parent never accepts. While its socket is open, a new connection would wait for an accept in vain.
        listening.close()
        for pid in list(workers):
            _send(pid, signal.SIGTERM)
            # A stopped process has to continue before it can end.
            _send(pid, signal.SIGCONT)

    def kill() -> None:
        for pid in list(workers):
            _send(pid, signal.SIGKILL)

    # The parent may have set SIGCHLD to be ignored; then the death of a worker would not be reported.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signals.seconds = PARENT_END_SECONDS
    with signals.calling(end, kill):
        for _ in range(0 if signals.asked else count):
            pid = os.fork()
            if pid == 0:
                signals.start()
                os.close(writable)
                return readable
            workers.add(pid)
            if signals.asked:
                # The request to end may have come before this worker was in the list.
                _send(pid, signal.SIGTERM)
        os.close(readable)
        print(greeting, flush=True)
        raise typer.Exit(_wait_for(workers, signals))


def end_with(parent: int) -> None:
    """End this worker when its parent process is gone. The parent holds the other end of this pipe."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        # The pipe stays readable, so the loop would call this again and again while requests finish.
        loop.remove_reader(parent)
        os.kill(os.getpid(), signal.SIGTERM)

    loop.add_reader(parent, end)


def _wait_for(workers: set[int], signals: ServerSignals) -> int:
    code = 0
    while workers:
        # This reports only deaths, not Ctrl-Z and fg. As process 1 of a container it also reaps orphans.
        pid, status = os.waitpid(-1, 0)
        if pid not in workers:
            continue
        workers.discard(pid)
        code = code or int(os.waitstatus_to_exitcode(status) != 0)
        if not signals.asked:
            _log.error("a worker ended by itself, so the server ends", pid=pid)
            code = 1
            signals.ask(code)
    return code


def _send(pid: int, number: signal.Signals) -> None:
    # A process that has ended still exists until it is waited for, so this can't hit another one.
    with suppress(ProcessLookupError):
        os.kill(pid, number)
