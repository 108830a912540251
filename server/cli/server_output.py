"""Standard output and error of a server, whose readers may be slow or gone: nothing waits for them."""

from __future__ import annotations

import atexit
import sys
import time
from collections.abc import Callable, Sequence

import structlog

from server.cli.signals import LOG_SECONDS, ServerSignals
from server.logs.patient_writer import PatientWriter
from server.logs.writer_thread import WriterThread

_log = structlog.get_logger("watchword")


def write_by_threads(signals: ServerSignals) -> None:
    """Let threads write standard output and error, so a slow reader of these delays nothing else."""
    output = WriterThread(1, lambda count: _log.error("output was dropped: it could not be written", lines=count))
    log = WriterThread(2, lambda count: _log.error("log lines were dropped: they could not be written", lines=count))
    sys.stdout = output.text(sys.stdout.encoding)
    sys.stderr = log.text(sys.stderr.encoding)
    signals.drain = _drain_at_exit((log, output))
    signals.tell_unused = lambda name: _log.warning("a signal that is not used", signal=name)


def write_without_threads() -> Sequence[PatientWriter]:
    """The same for a parent: lines wait there until their reader takes them."""
    output, log = PatientWriter(1), PatientWriter(2)
    sys.stdout = output.text(sys.stdout.encoding)
    sys.stderr = log.text(sys.stderr.encoding)
    _drain_at_exit((log, output))
    return output, log


def _drain_at_exit(writers: Sequence[WriterThread | PatientWriter]) -> Callable[[float], None]:
    def drain(seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for writer in writers:
            writer.drain(max(0.0, deadline - time.monotonic()))

    atexit.register(drain, LOG_SECONDS)
    return drain


def advance(writers: Sequence[PatientWriter]) -> None:
    """Write what a reader takes now. The parent calls it now and then."""
    for writer in writers:
        writer.advance()
