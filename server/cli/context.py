"""Functions that all commands use: they load the settings, and run a coroutine with the services."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from server.app import open_services
from server.cli.command_line import command_line_of
from server.cli.signals import cancelling
from server.cli.tables import visible
from server.core.origin import COMMAND_LINE, Origin, reset_origin, set_origin
from server.database.open import sqlite_path
from server.files.ownership import user_name
from server.logs.output import configure_logs
from server.routes import route_table
from server.services import Services
from server.settings import LoadedSettings, Settings, load_settings
from server.settings.load import DEFAULT_FILE, ON_COMMAND_LINE
from server.settings.masking import masked_url

Result = TypeVar("Result")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def settings_for(context: typer.Context, config: Path | None) -> Settings:
    """Load the settings. --config may be before or after the command. Raises ConfigurationError."""
    return loaded_for(context, config).settings


def loaded_for(context: typer.Context, config: Path | None, given: Mapping[str, Any] | None = None) -> LoadedSettings:
    """Load the settings with their sources. `given` has the settings that the command line gives, by their names."""
    loaded = load_settings(config or command_line_of(context).config, given=given)
    # The routes in `[access]` have to exist. This is checked before the command changes anything.
    route_table(loaded.settings)
    return loaded


def sources(loaded: LoadedSettings) -> list[str]:
    """Lines that name the settings file and the store. In another working directory both may be different ones."""
    url = loaded.settings.store.url
    given = [name for name, origin in loaded.origins.items() if origin == ON_COMMAND_LINE]
    file = loaded.file or f"none; there is no {DEFAULT_FILE} in {Path.cwd()}"
    return [
        f"settings  {visible(str(file))}",
        f"store     {visible(str(sqlite_path(url)) if loaded.settings.store.is_sqlite else masked_url(url))}",
        *([f"given     {', '.join(given)} on the command line"] if given else []),
        *(f"ignored   {name}, which the container host has made" for name in map(visible, loaded.ignored)),
    ]


def run_with_services(
    settings: Settings, work: Callable[[Services], Awaitable[Result]], *, makes_store: bool = False
) -> Result:
    """Open the services and do `work`, also while a server runs. The audit log names the user who runs the command.

    `makes_store` is only for commands that bring the first data. All others refuse a store that does not exist or needs
    migrations: who looks at something should change no table.
    """
    configure_logs(settings.logs)

    async def run() -> Result:
        async with open_services(settings, serving=False, migrating=makes_store) as services:
            return await work(services)

    with acting():
        return run_async(run())


@contextmanager
def acting() -> Iterator[None]:
    """What is done within is done by the user of the operating system who runs the command."""
    origin = Origin(COMMAND_LINE, actor_name=user_name(os.getuid()))
    before = set_origin(lambda: origin)
    try:
        yield
    finally:
        reset_origin(before)


def run_async(work: Coroutine[Any, Any, Result]) -> Result:
    """Run the coroutine. If the command is interrupted, the coroutine is cancelled and can undo its work."""

    async def interruptible() -> Result:
        loop, task, signalled = asyncio.get_running_loop(), asyncio.current_task(), list[Callable[[], object]]()

        def interrupt(heard: Callable[[], object]) -> None:
            signalled.append(heard)
            loop.call_soon_threadsafe(cancel)

        def cancel() -> None:
            while signalled and task is not None:
                signalled.pop()()
                task.cancel()

        try:
            with cancelling(interrupt):
                result = await work
        except KeyboardInterrupt:
            # asyncio would print a complaint about a task that ends with KeyboardInterrupt.
            raise asyncio.CancelledError from None
        if signalled:
            # At the last moment.
            signalled.pop()()
            raise asyncio.CancelledError
        return result

    try:
        return asyncio.run(interruptible())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def print_json(value: Any) -> None:
    """Print one JSON document on standard output. It is ASCII, so every terminal and pipe can take any name."""
    typer.echo(json.dumps(value, indent=2))
