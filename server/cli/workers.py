"""`server.workers`: several processes that accept from one socket."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import structlog
import typer

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)

_log = structlog.get_logger("watchword")


def become_workers(count: int, greeting: str) -> int:
    """Fork. Returns in each worker; the process that called it prints the greeting, waits for them and exits.

    What it returns is a descriptor that becomes readable when that process is gone, however it ended.

    A signal to end goes on to all of them. If one dies, the others are ended too and the exit code is 1: whatever
    started the server is the one to start it again.
    """
    # Blocked before there is a child, so none can end unnoticed.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    workers = []
    # Nothing is ever written: it is readable at its end, which comes when the last writer is gone.
    readable, writable = os.pipe()
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            os.close(writable)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return readable
        workers.append(pid)
    os.close(readable)
    with suppress(OSError):
        # Whoever started the server may not care to read.
        print(greeting, flush=True)
    raise typer.Exit(_wait_for(workers))


def _wait_for(workers: list[int]) -> int:
    asked = signal.sigwait(_SIGNALS) != signal.SIGCHLD
    if not asked:
        _log.error("a worker ended by itself, so the server ends")
    for pid in workers:
        # Also one that has ended is there until it is waited for.
        os.kill(pid, signal.SIGTERM)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers]
    return 0 if asked and not any(codes) else 1
