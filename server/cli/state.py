"""What commands share: the settings, and running something async with the services."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from server.access import RoleTable
from server.app import open_services
from server.config import Settings, load_settings
from server.context import Services
from server.observe.logs import configure_logs
from server.origin import Origin, reset_origin, set_origin
from server.web.table import AccessTable

Result = TypeVar("Result")

# Characters in a line.
UNBOUNDED = 10_000

Config = Annotated[
    Path | None, typer.Option("--config", help="Settings to read in place of config.toml.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The options before the command."""

    config: Path | None


def settings_for(context: typer.Context, config: Path | None) -> Settings:
    """Load the settings; --config may stand before the command or behind it. Raises ConfigurationError."""
    common: CommandLine = context.find_object(CommandLine) or CommandLine(None)
    settings = load_settings(config or common.config)
    # What `[access]` names has to be there, and to be known before anything is made.
    AccessTable(RoleTable(settings.roles), settings.access)
    return settings


def run_with_services(settings: Settings, work: Callable[[Services], Awaitable[Result]]) -> Result:
    """Open the services beside a server that may be running, and do `work`; the audit log names who runs it."""
    configure_logs(settings.logs)

    async def run() -> Result:
        async with open_services(settings, serving=False) as services:
            return await work(services)

    origin = Origin("command line", actor_name=_system_user())
    before = set_origin(lambda: origin)
    try:
        return asyncio.run(run())
    finally:
        reset_origin(before)


def _system_user() -> str:
    """By the id of the process: the environment could say anything."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def print_table(table: Table) -> None:
    """On standard output, nothing cut: a narrow terminal breaks words, and what is no terminal gets long lines."""
    for column in table.columns:
        column.overflow = "fold"
    Console(width=None if sys.stdout.isatty() else UNBOUNDED, emoji=False).print(table, markup=False)


def print_json(value: Any) -> None:
    """One JSON document on standard output, in ASCII: whatever a name holds, any terminal and pipe can take it."""
    typer.echo(json.dumps(value, indent=2))
