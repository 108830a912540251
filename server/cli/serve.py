"""`serve`: the server itself."""

from __future__ import annotations

import asyncio
import atexit
import gc
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any, TypeVar

import structlog
import typer
from aiohttp import web

from server.app import create_runner, open_services
from server.cli.child import Child, Inherited, share_of
from server.cli.command_line import signals_of
from server.cli.context import Config, loaded_for, sources
from server.cli.demo import demo_settings, make_demo_users, temporary_folder
from server.cli.first_start import make_first_admin
from server.cli.greeting import address_of
from server.cli.monitoring import Monitoring, open_monitoring, serving_metrics, watchers_of, with_metrics
from server.cli.signals import LOG_SECONDS, ServerSignals
from server.cli.supervisor import BACKLOG, Hooks, Supervisor
from server.cli.worker import Worker
from server.core.clock import SystemClock
from server.core.ids import Ids, SystemRandomness
from server.database.open import load_driver, wait_for_database
from server.http.balance import Balance, Share
from server.http.balanced_site import BalancedSite
from server.http.listening import listen_on
from server.http.request_log import RequestLog
from server.http.runner import EdgeRunner, raise_descriptor_limit
from server.logs.output import configure_logs
from server.logs.patient_writer import PatientWriter
from server.logs.writer_thread import WriterThread
from server.nodes.model import NodeName
from server.services import Services
from server.settings import LoadedSettings, Settings

Result = TypeVar("Result")

_log = structlog.get_logger("watchword")


def serve(
    context: typer.Context,
    demo: Annotated[
        bool, typer.Option("--demo", help="Serve six example users from a throw-away store.", show_default=False)
    ] = False,
    host: Annotated[str | None, typer.Option(help="In place of server.host.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help="In place of server.port.", show_default=False)] = None,
    no_migrate: Annotated[
        bool, typer.Option("--no-migrate", help="Refuse a store that is not up to date.", show_default=False)
    ] = False,
    config: Config = None,
) -> None:
    """Start the server. Ctrl-C or SIGTERM ends it when what is in flight is done."""
    given = {"server.host": host, "server.port": port}
    loaded = loaded_for(context, config, {name: value for name, value in given.items() if value is not None})
    settings = loaded.settings
    signals = signals_of(context)
    if demo and no_migrate:
        raise typer.BadParameter("--demo makes a store of its own; leave --no-migrate out")
    if demo:
        _write_by_threads(signals)
        # A signal must not end the process before the folder is removed.
        with signals.calling(lambda: None), temporary_folder() as folder:
            _run(demo_settings(settings, Path(folder)), signals, demo=True)
    elif settings.server.worker_count == 1:
        _write_by_threads(signals)
        print("\n".join(sources(loaded)), flush=True)
        _run(settings, signals, demo=False, migrating=not no_migrate)
    else:
        _run_workers(loaded, signals, migrating=not no_migrate)


def _run(settings: Settings, signals: ServerSignals, *, demo: bool, migrating: bool = True) -> None:
    """Serve in this process."""
    configure_logs(settings.logs)
    raise_descriptor_limit()
    with (
        listen_on(settings.server.host, settings.server.port) as listening,
        open_monitoring(settings) as monitoring,
    ):
        _in_a_loop(_serve(settings, listening, monitoring, demo=demo, migrating=migrating), signals)


def _run_workers(loaded: LoadedSettings, signals: ServerSignals, *, migrating: bool) -> None:
    """Serve in several processes. This one becomes their parent, so from here on it must have one thread."""
    settings = loaded.settings
    signals.stop()
    writers = _write_without_threads()
    print("\n".join(sources(loaded)), flush=True)
    configure_logs(settings.logs)
    raise_descriptor_limit()
    load_driver(settings.store)
    count = settings.server.worker_count
    with (
        listen_on(settings.server.host, settings.server.port) as listening,
        open_monitoring(settings, count) as monitoring,
    ):
        hooks = with_metrics(Hooks(tick=lambda: _advance(writers)), monitoring)
        node = NodeName.of_this_process(Ids(SystemClock(), SystemRandomness()).new_id())
        child = Supervisor(count, settings, Inherited(listening, node, Balance(count)), hooks).run()
        # Only children come here.
        for writer in writers:
            writer.forget()
        signals.start()
        _write_by_threads(signals)
        if child.number is None:
            _in_a_loop(_prepare(child, migrating=migrating), signals)
        else:
            worker = Worker(child, signals)
            _in_a_loop(_serve(share_of(child), listening, monitoring, demo=False, worker=worker), signals)


def _write_by_threads(signals: ServerSignals) -> None:
    """Let threads write standard output and error, so a slow reader of these delays nothing else."""
    output = WriterThread(1, lambda count: _log.error("output was dropped: it could not be written", lines=count))
    log = WriterThread(2, lambda count: _log.error("log lines were dropped: they could not be written", lines=count))
    sys.stdout = output.text(sys.stdout.encoding)
    sys.stderr = log.text(sys.stderr.encoding)
    signals.drain = _drain_at_exit((log, output))
    signals.tell_unused = lambda name: _log.warning("a signal that is not used", signal=name)


def _write_without_threads() -> Sequence[PatientWriter]:
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


def _advance(writers: Sequence[PatientWriter]) -> None:
    for writer in writers:
        writer.advance()


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


async def _prepare(child: Child, *, migrating: bool) -> None:
    """Do what is done once, before there are workers. The parent gets the greeting, and what keeps the store ours."""
    configure_logs(child.settings.logs)
    node = child.inherited.node
    await wait_for_database(child.settings.store)
    async with open_services(child.settings, serving=True, migrating=migrating, node=node) as services:
        greeting = await _greeting(services, address_of(child.inherited.listening), demo=False)
        child.channel.send("prepared", greeting, services.repositories.driver.held_descriptors())


async def _serve(
    settings: Settings,
    listening: socket.socket,
    monitoring: Monitoring | None,
    *,
    demo: bool,
    migrating: bool = True,
    worker: Worker | None = None,
) -> None:
    """Serve until cancelled. If this is a worker, its parent has prepared the store and prints the greeting."""
    render = configure_logs(settings.logs)
    metrics = (
        None if monitoring is None else monitoring.shared.of_worker(0 if worker is None else worker.child.number or 0)
    )
    async with AsyncExitStack() as stack:
        given: dict[str, Any] = {"migrating": migrating, "watchers": watchers_of(metrics)}
        if worker is not None:
            stack.enter_context(worker.following())
            given |= {"inherited": worker.child.inherited.store, "node": worker.child.inherited.node}
        # Of a worker too: it may be a replacement, while the database starts again.
        await wait_for_database(settings.store)
        services = await stack.enter_async_context(open_services(settings, serving=True, **given))
        await stack.enter_async_context(serving_metrics(monitoring, metrics, services))
        greeting = await _greeting(services, address_of(listening), demo=demo) if worker is None else None
        request_log = RequestLog(services.clock, render) if settings.logs.requests else None
        runner = create_runner(services, request_log)
        try:
            await runner.setup()
            site = _site(runner, listening, worker)
            await site.start()
            _calm_garbage_collector()
            # Only now, because the server listens from here on.
            if worker is not None:
                worker.tell_ready()
            else:
                print(greeting, flush=True)
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()
            if request_log is not None:
                request_log.flush()


def _site(runner: EdgeRunner, listening: socket.socket, worker: Worker | None) -> web.BaseSite:
    if worker is None or worker.child.number is None:
        return web.SockSite(runner, listening, backlog=BACKLOG)
    return BalancedSite(runner, listening, Share(worker.child.inherited.balance, worker.child.number))


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
