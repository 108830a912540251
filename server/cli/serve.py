"""`serve`: the server itself."""

from __future__ import annotations

import asyncio
import atexit
import gc
import socket
import sys
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import structlog
import typer
from aiohttp import web

from server.app import create_runner, open_services
from server.cli.command_line import signals_of
from server.cli.context import Config, loaded_for, sources
from server.cli.demo import demo_settings, make_demo_users, temporary_folder
from server.cli.first_start import make_first_admin
from server.cli.greeting import address_of
from server.cli.signals import LOG_SECONDS, ServerSignals
from server.cli.workers import become_workers, end_with
from server.http.listening import listen_on
from server.http.request_log import RequestLog
from server.http.runner import raise_descriptor_limit
from server.logs.output import configure_logs
from server.logs.writer_thread import WriterThread
from server.services import Services
from server.settings import Settings

Result = TypeVar("Result")

BACKLOG = 1024

_log = structlog.get_logger("watchword")


def serve(
    context: typer.Context,
    demo: Annotated[
        bool, typer.Option("--demo", help="Serve six example users from a throw-away store.", show_default=False)
    ] = False,
    host: Annotated[str | None, typer.Option(help="In place of server.host.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help="In place of server.port.", show_default=False)] = None,
    config: Config = None,
) -> None:
    """Start the server. Ctrl-C or SIGTERM ends it when what is in flight is done."""
    given = {"server.host": host, "server.port": port}
    loaded = loaded_for(context, config, {name: value for name, value in given.items() if value is not None})
    settings = loaded.settings
    signals = signals_of(context)
    writers = _write_by_threads(signals)
    if demo:
        # A signal must not end the process before the folder is removed.
        with signals.calling(lambda: None), temporary_folder() as folder:
            _run(demo_settings(settings, Path(folder)), signals, writers, demo=True)
    else:
        print("\n".join(sources(loaded)), flush=True)
        _run(settings, signals, writers, demo=False)


def _run(settings: Settings, signals: ServerSignals, writers: Sequence[WriterThread], *, demo: bool) -> None:
    configure_logs(settings.logs)
    raise_descriptor_limit()
    with listen_on(settings.server.host, settings.server.port) as listening:
        parent = None
        if settings.server.workers > 1:
            # The greeting may have a password, so a signal must not end the process before it is shown.
            with signals.calling(lambda: None):
                greeting = _in_a_loop(_prepare(settings, listening, demo=demo), signals)
                listening.listen(BACKLOG)
                parent = become_workers(settings.server.workers, signals, listening, greeting)
            for writer in writers:
                writer.start()
        _in_a_loop(_serve(settings, listening, demo=demo, parent=parent), signals)


def _write_by_threads(signals: ServerSignals) -> Sequence[WriterThread]:
    """Let threads write standard output and error, so a slow reader of these delays nothing else."""
    output = WriterThread(1, lambda count: _log.error("output was dropped: it could not be written", lines=count))
    log = WriterThread(2, lambda count: _log.error("log lines were dropped: they could not be written", lines=count))
    sys.stdout = output.text(sys.stdout.encoding)
    sys.stderr = log.text(sys.stderr.encoding)

    def drain(seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for writer in (log, output):
            writer.drain(max(0.0, deadline - time.monotonic()))

    atexit.register(drain, LOG_SECONDS)
    signals.drain = drain
    signals.tell_unused = lambda name: _log.warning("a signal that is not used", signal=name)
    return output, log


def _in_a_loop(work: Coroutine[Any, Any, Result], signals: ServerSignals) -> Result:
    """Do the work in an event loop. A signal to end cancels it."""
    try:
        import uvloop  # noqa: PLC0415 - not published for every platform
    except ImportError:
        run = asyncio.run
    else:
        run = uvloop.run
    try:
        return run(_until_asked(work, signals))
    except asyncio.CancelledError:
        raise typer.Exit(0) from None


async def _until_asked(work: Coroutine[Any, Any, Result], signals: ServerSignals) -> Result:
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    with signals.calling(lambda: loop.call_soon_threadsafe(task.cancel)):
        return await task


async def _prepare(settings: Settings, listening: socket.socket, *, demo: bool) -> str:
    """Do what is done once, before there are workers. Returns the greeting."""
    async with open_services(settings, serving=True) as services:
        return await _greeting(services, address_of(listening), demo=demo)


async def _serve(settings: Settings, listening: socket.socket, *, demo: bool, parent: int | None) -> None:
    """Serve until cancelled. A worker has a `parent`, which prints the greeting; the worker ends when it is gone."""
    if parent is not None:
        end_with(parent)
    render = configure_logs(settings.logs)
    async with open_services(settings, serving=True) as services:
        greeting = await _greeting(services, address_of(listening), demo=demo) if parent is None else None
        request_log = RequestLog(services.clock, render) if settings.logs.requests else None
        runner = create_runner(services, request_log)
        try:
            await runner.setup()
            await web.SockSite(runner, listening, backlog=BACKLOG).start()
            _calm_garbage_collector()
            if greeting is not None:
                # The greeting comes only now, because the server listens from here on.
                print(greeting, flush=True)
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()
            if request_log is not None:
                request_log.flush()


async def _greeting(services: Services, address: str, *, demo: bool) -> str:
    """Make the accounts that an empty store needs. Returns the text about them and the address."""
    for line in services.settings.weaknesses():
        _log.warning("weak setting", reason=line)
    one_address = services.settings.one_address_for_all()
    if one_address is not None and not demo:
        _log.warning("client addresses", reason=one_address)
    accounts = await (make_demo_users(services, address) if demo else make_first_admin(services, address))
    return f"{accounts}Watchword listens on {address} (Ctrl-C ends it; {address}/docs shows the API)"


def _calm_garbage_collector() -> None:
    """Exclude the objects of the start from garbage collection, because they are never freed, and collect less often.

    Without this, garbage collection took a sixth of the time of a verified request.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
