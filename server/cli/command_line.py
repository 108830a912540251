"""The options before a command, and the signal handler. Every command imports this module, so it imports little."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from server.cli.signals import CommandSignals, ServerSignals

Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="PATH", help="Settings to read in place of config.toml.", show_default=False),
]


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Typer passes this to commands as `context.obj`."""

    config: Path | None
    signals: ServerSignals | CommandSignals | None = None


def command_line_of(context: typer.Context) -> CommandLine:
    """The command line of this process, or an empty one if a test calls a command directly."""
    return context.find_object(CommandLine) or CommandLine(None)


def postponing_signals(context: typer.Context) -> AbstractContextManager[None]:
    """Heed no signal within this context: it is for the one step of a command that must be done whole."""
    signals = command_line_of(context).signals
    return signals.postponed() if isinstance(signals, CommandSignals) else nullcontext()


def signals_of(context: typer.Context) -> ServerSignals:
    """The signals of this server."""
    signals = command_line_of(context).signals
    return signals if isinstance(signals, ServerSignals) else ServerSignals()
