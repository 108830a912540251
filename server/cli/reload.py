"""Reloading: at SIGHUP the settings are read again, and serve if all of it is valid. Otherwise the old ones stay."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog
import typer

from server.cli.command_line import command_line_of
from server.cli.context import loaded_for
from server.cli.reload_outcome import Outcome, problems_of
from server.cli.reload_socket import Waiters
from server.cli.service_manager import ServiceManager
from server.core.errors import ConfigurationError
from server.files.text_file import without_line_end
from server.live import Live
from server.settings import LoadedSettings, Settings
from server.settings.changes import changed_names, taken_live
from server.settings.load import DEFAULT_FILE

_TEMPLATES = "mail.templates"

_log = structlog.get_logger("watchword")


def settings_file(context: typer.Context, config: Path | None) -> Path:
    """The path of the settings file, whether it exists or not: by it a server is found."""
    return (config or command_line_of(context).config or Path(DEFAULT_FILE)).absolute()


@dataclass(frozen=True, slots=True)
class Source:
    """Where a reload comes from: what reads the settings again, and the commands that wait for the outcome."""

    read: Callable[[], LoadedSettings]
    waiters: Waiters

    def adapted(self, adapt: Callable[[Settings], Settings]) -> Source:
        """One that reads settings and changes them."""

        def read() -> LoadedSettings:
            loaded = self.read()
            return replace(loaded, settings=adapt(loaded.settings))

        return replace(self, read=read)


def reload_source(
    context: typer.Context, config: Path | None, given: Mapping[str, Any], first: LoadedSettings
) -> Source:
    """The source that reads the settings as the start has read `first`."""
    file = first.file
    named = [name for name in first.origins.values() if name.upper().endswith("_FILE") and name in os.environ]
    files = [settings_file(context, config), *(Path(without_line_end(os.environ[name])) for name in named)]

    def read() -> LoadedSettings:
        nonlocal file
        for one in files:
            _refuse_pipe(one)
        if file is not None:
            _require_file(file)
        loaded = loaded_for(context, config, given)
        # A file that is there for the first time must not go unnoticed later.
        file = loaded.file
        return loaded

    return Source(read, Waiters(settings_file(context, config)))


def _require_file(file: Path) -> None:
    """Refuse a file that is gone or empty: the start took it, so now all settings would be the defaults."""
    try:
        is_empty = file.stat().st_size == 0
    except FileNotFoundError:
        raise ConfigurationError([f"{file}: is not there any more; put it back"]) from None
    except OSError:
        # Reading it tells why.
        return
    if is_empty:
        raise ConfigurationError([f"{file}: is empty; write the settings into it again"])


def _refuse_pipe(file: Path) -> None:
    """Refuse a pipe or a device. Who reads it may wait for ever, and then the server could not even be ended."""
    with suppress(OSError):
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise ConfigurationError([f"{file}: is a pipe or a device, which is read only at the start; use a file"])


@dataclass(frozen=True, slots=True)
class Plan:
    """What a reload will do: the settings that serve then, and how it is told."""

    settings: Settings
    outcome: Outcome


def plan(running: Settings, read: Settings) -> Plan:
    """Raises ConfigurationError if what was read does not fit to what needs a restart."""
    settings = taken_live(running, read)
    changed = changed_names(running, settings)
    # Its files are read again too, whether they have changed or not.
    if settings.mail.enabled and settings.mail.templates and _TEMPLATES not in changed:
        changed.append(_TEMPLATES)
    return Plan(settings, Outcome(changed, changed_names(settings, read)))


class Reloader:
    """Reloads a server that is one process."""

    def __init__(self, live: Live, source: Source, manager: ServiceManager) -> None:
        self._live = live
        self._source = source
        self._manager = manager
        self._loop = asyncio.get_running_loop()
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Reload soon, from any thread. If a reload runs, there is one more after it."""
        with suppress(RuntimeError):
            # The loop may have been closed by now.
            self._loop.call_soon_threadsafe(self._asked.set)

    async def run(self) -> None:
        """Reload whenever it is asked for, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            # Whoever connects later sends a signal later.
            waiting = self._source.waiters.accept()
            self._manager.reloading()
            outcome = await self._reload()
            self._manager.ready(outcome.status())
            await asyncio.to_thread(self._source.waiters.answer, waiting, outcome)

    async def _reload(self) -> Outcome:
        running = self._live.services.settings
        try:
            read = await asyncio.to_thread(self._source.read)
            planned = plan(running, read.settings)
            if planned.outcome.changed:
                await self._live.prepare(planned.settings)
        except Exception as error:  # noqa: BLE001 - whatever it is, the server goes on with the old settings
            outcome = Outcome(problems=problems_of(error))
            outcome.log()
            return outcome
        take_with_a_line(self._live.take, running, planned)
        return planned.outcome


def take_with_a_line(take: Callable[[], object], running: Settings, planned: Plan) -> None:
    """Let the new settings serve, and say so in the log: before that, if they would hide the line."""
    is_shown = running.logs.level in {"debug", "info"}
    if is_shown:
        planned.outcome.log()
    take()
    if not is_shown:
        planned.outcome.log()
    for line in planned.settings.weaknesses():
        if line not in running.weaknesses():
            _log.warning("weak setting", reason=line)
