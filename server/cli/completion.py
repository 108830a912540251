"""`completion`: the script by which a shell completes commands and options, and the answers to that script.

typer brings both. Its own options --install-completion and --show-completion are off: they change files of the shell,
and guess which shell it is.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import completion_init, get_completion_script  # type: ignore[attr-defined]

from server.cli import COMPLETION
from server.cli.tables import program

# The name of the installed program. A shell completes by this name, so `python -m server` can't be completed.
PROGRAM = "watchword"


class Shell(StrEnum):
    """The shells that typer has a script for, and that read it from a pipe."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="The shell that reads the script.")]) -> None:
    """Print a script for completion in a shell.

    For bash, put it where bash looks: source <(watchword completion bash), in ~/.bashrc.

    Example: completion bash
    """
    typer.echo(get_completion_script(prog_name=PROGRAM, complete_var=COMPLETION, shell=shell.value))
    if program() != PROGRAM:
        print(f"this completes the installed program {PROGRAM}, not {program()}", file=sys.stderr)


def prepare_answer() -> None:
    """Teach typer the forms in which shells want their answers."""
    completion_init()
