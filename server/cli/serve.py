"""`serve`: the server itself."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Coroutine
from contextlib import AsyncExitStack, closing
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import structlog
import typer
from aiohttp import web

from server.app import create_live, open_services
from server.cli.child import Child, Inherited, share_of
from server.cli.command_line import Config, signals_of
from server.cli.context import loaded_for, sources
from server.cli.demo import demo_settings, make_demo_users, temporary_folder
from server.cli.duties import AloneDuties, WorkerDuties
from server.cli.first_start import make_first_admin
from server.cli.greeting import address_of, sign_in_line
from server.cli.monitoring import Monitoring, open_monitoring
from server.cli.parent_duties import ParentDuties
from server.cli.reload import Source, reload_source
from server.cli.server_output import advance, write_by_threads, write_without_threads
from server.cli.signals import ServerSignals
from server.cli.supervisor import BACKLOG, Supervisor
from server.cli.worker import Worker
from server.core.clock import SystemClock
from server.core.errors import StoreUnavailable
from server.core.ids import Ids, SystemRandomness
from server.database.open import load_driver, wait_for_database
from server.http.balance import Balance, Share
from server.http.balanced_site import BalancedSite
from server.http.listening import PORT_SECONDS, begin_to_listen, listen_on
from server.http.request_log import RequestLog
from server.http.runner import EdgeRunner, raise_descriptor_limit
from server.logs.output import configure_logs
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
    host: Annotated[
        str | None, typer.Option(metavar="HOST", help="In place of server.host.", show_default=False)
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="PORT", help="In place of server.port.", show_default=False)
    ] = None,
    no_migrate: Annotated[
        bool, typer.Option("--no-migrate", help="Refuse a store that is not up to date.", show_default=False)
    ] = False,
    config: Config = None,
) -> None:
    """Start the server. Ctrl-C or SIGTERM ends it when what is in flight is done.

    Example: serve --port 9090
    """
    options = {"server.host": host, "server.port": port}
    given = {name: value for name, value in options.items() if value is not None}
    loaded = loaded_for(context, config, given)
    signals = signals_of(context)
    if demo and no_migrate:
        raise typer.BadParameter("--demo makes a store of its own; leave --no-migrate out")
    source = reload_source(context, config, given, loaded)
    with closing(source.waiters):
        if demo:
            write_by_threads(signals)
            # A signal must not end the process before the folder is removed.
            with signals.calling(lambda: None), temporary_folder() as folder:
                source = source.adapted(partial(demo_settings, folder=Path(folder)))
                _run(demo_settings(loaded.settings, Path(folder)), AloneDuties(signals, source), signals, demo=True)
        elif loaded.settings.server.worker_count == 1:
            write_by_threads(signals)
            print("\n".join(sources(loaded)), flush=True)
            _run(loaded.settings, AloneDuties(signals, source, migrating=not no_migrate), signals)
        else:
            _run_workers(loaded, source, signals, migrating=not no_migrate)


def _run(settings: Settings, duties: AloneDuties, signals: ServerSignals, *, demo: bool = False) -> None:
    """Serve in this process."""
    configure_logs(settings.logs)
    raise_descriptor_limit()
    with (
        listen_on(settings.server.host, settings.server.port, wait_seconds=PORT_SECONDS) as listening,
        open_monitoring(settings) as monitoring,
    ):
        _in_a_loop(_serve(settings, listening, duties, monitoring, demo=demo), signals)


def _run_workers(loaded: LoadedSettings, source: Source, signals: ServerSignals, *, migrating: bool) -> None:
    """Serve in several processes. This one becomes their parent, so from here on it must have one thread."""
    settings = loaded.settings
    signals.stop()
    writers = write_without_threads()
    print("\n".join(sources(loaded)), flush=True)
    configure_logs(settings.logs)
    raise_descriptor_limit()
    load_driver(settings.store)
    count = settings.server.worker_count
    with (
        listen_on(settings.server.host, settings.server.port, wait_seconds=PORT_SECONDS) as listening,
        open_monitoring(settings, count) as monitoring,
    ):
        status = f"{count} workers listen on {address_of(listening)}"
        duties = ParentDuties(source, asked=signals.hangup_waits, status=status)
        hooks = monitoring.hooks(duties.hooks(lambda: advance(writers)))
        node = NodeName.of_this_process(Ids(SystemClock(), SystemRandomness()).new_id())
        duties.supervisor = Supervisor(count, settings, Inherited(listening, node, Balance(count)), hooks)
        child = duties.supervisor.run()
        # Only children come here.
        source.waiters.close()
        for writer in writers:
            writer.forget()
        signals.start()
        write_by_threads(signals)
        if child.number is None:
            _in_a_loop(_prepare(child, migrating=migrating), signals)
        else:
            worker = Worker(child, signals)
            try:
                duties_of_worker = WorkerDuties(worker, signals)
                _in_a_loop(_serve(share_of(child), listening, duties_of_worker, monitoring, demo=False), signals)
            except StoreUnavailable:
                worker.tell_unavailable()
                raise


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
        greeting = await _greeting(services, child.inherited.listening, demo=False)
        child.channel.send("prepared", greeting, services.repositories.driver.held_descriptors())


async def _serve(
    settings: Settings,
    listening: socket.socket,
    duties: AloneDuties | WorkerDuties,
    monitoring: Monitoring,
    *,
    demo: bool,
) -> None:
    """Serve until cancelled. If this is a worker, its parent has prepared the store and prints the greeting."""
    render = configure_logs(settings.logs)
    address = address_of(listening)
    process = monitoring.of_process(settings, duties.number)
    async with duties.living(), process.sending(), AsyncExitStack() as stack:
        async with duties.starting():
            # Of a worker too: it may be a replacement, while the database starts again.
            await wait_for_database(settings.store)
            opening = open_services(settings, serving=True, watchers=process.watchers, **duties.given)
            services = await stack.enter_async_context(opening)
            greeting = await _greeting(services, listening, demo=demo) if isinstance(duties, AloneDuties) else None
        request_log = RequestLog(services.clock, render)
        live = create_live(services, request_log)
        await stack.enter_async_context(process.serving(lambda: live.services))
        try:
            await live.runner.setup()
            await _site(live.runner, listening, duties).start()
            _calm_garbage_collector()
            if greeting is not None:
                # Only now, because the server listens from here on.
                print(greeting, flush=True)
            async with duties.serving(live, address):
                await asyncio.Event().wait()
        finally:
            await live.runner.cleanup()
            request_log.flush()


def _site(runner: EdgeRunner, listening: socket.socket, duties: AloneDuties | WorkerDuties) -> web.BaseSite:
    if isinstance(duties, AloneDuties):
        begin_to_listen(listening, BACKLOG)
        return web.SockSite(runner, listening, backlog=BACKLOG)
    child = duties.worker.child
    return BalancedSite(runner, listening, Share(child.inherited.balance, duties.number))


async def _greeting(services: Services, listening: socket.socket, *, demo: bool) -> str:
    """Make the accounts that an empty store needs. Returns the text about them and the address."""
    for line in services.settings.weaknesses():
        _log.warning("weak setting", reason=line)
    one_address = services.settings.one_address_for_all()
    if one_address is not None and not demo:
        _log.warning("client addresses", reason=one_address)
    without_mail = services.settings.without_mail()
    if without_mail is not None and not demo:
        _log.info("mail is off", reason=without_mail)
    address = address_of(listening)
    origin = services.settings.server.public_origin(listening.getsockname()[1])
    accounts = await (make_demo_users(services, address) if demo else make_first_admin(services, address))
    sign_in = sign_in_line(origin) if services.settings.pages.enabled else ""
    return f"{sign_in}{accounts}Watchword listens on {address} (Ctrl-C ends it; {origin}/docs shows the API)"


def _calm_garbage_collector() -> None:
    """Exclude the objects of the start from garbage collection, because they are never freed, and collect less often.

    Without this, garbage collection took a sixth of the time of a verified request. A collection looks at 6,000
    objects at most, which takes a few milliseconds also when a crowd of clients comes. Only when eight million were
    made that are still there, it looks at all.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 2, 2_000)
