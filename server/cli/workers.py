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
    """Fork. Returns in each worker; the process that called it prints the greeting, waits for them and exits.

    What it returns is a descriptor that becomes readable when that process is gone, however it ended.

    A signal to end goes on to all of them. If one dies, the others are ended too and the exit code is 1: whatever
    started the server is the one to start it again.
    """
    # Nothing is ever written: it is readable at its end, which comes when the last writer is gone.
    readable, writable = os.pipe()
    workers: set[int] = set()

    def end() -> None:
        # Else whoever connects now would wait for a worker that accepts.
        listening.close()
        for pid in list(workers):
            _send(pid, signal.SIGTERM)
            # A stopped process could not end.
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
                # Perhaps before it was one of them.
                _send(pid, signal.SIGTERM)
        os.close(readable)
        print(greeting, flush=True)
        raise typer.Exit(_wait_for(workers, signals))


def end_with(parent: int) -> None:
    """End this worker when its parent process, which holds the other end of this pipe, is gone."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        # It stays readable, and would be told of again and again while requests finish.
        loop.remove_reader(parent)
        os.kill(os.getpid(), signal.SIGTERM)

    loop.add_reader(parent, end)


def _wait_for(workers: set[int], signals: ServerSignals) -> int:
    code = 0
    while workers:
        # Tells of deaths alone, not of Ctrl-Z and fg. As process 1 this one has to bury orphans too.
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
    # One that is not waited for yet is still there.
    with suppress(ProcessLookupError):
        os.kill(pid, number)
