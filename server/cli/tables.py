"""Prints tables and values of commands, with control characters escaped."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TextIO

import typer

from server.core.text import escaped


def program() -> str:
    """The name by which this program was called, for messages that say what to run."""
    return "watchword" if Path(sys.argv[0]).stem == "watchword" else "python -m server"


def questions() -> redirect_stdout[TextIO]:
    """Ask questions on standard error, since standard output may go to a file."""
    return redirect_stdout(sys.stderr)


def visible(value: object) -> str:
    r"""A value in one line for a terminal. Characters that control it or turn the text are written as `\u202e`."""
    return escaped(value if isinstance(value, str) else json.dumps(value))


class Rows:
    """A table that is printed row by row. No cell is cut or wrapped, so the output can be copied.

    On a terminal a column is as wide as its widest cell so far. Elsewhere tabs separate the cells, for programs.
    """

    def __init__(self, *names: str, aligned: bool | None = None) -> None:
        self._widths = [0] * len(names)
        self._above: list[Sequence[str]] = [names]
        self._aligned = sys.stdout.isatty() if aligned is None else aligned

    def add(self, rows: Iterable[Sequence[str]]) -> None:
        """Print rows. The first call also prints the names of the columns."""
        lines = [[visible(cell) for cell in row] for row in (*self._above, *rows)]
        self._above = []
        if not self._aligned:
            for line in lines:
                typer.echo("\t".join(line))
            return
        # A command that fails prints no table, so it does not have to import this.
        from rich.cells import cell_len  # noqa: PLC0415

        for line in lines:
            self._widths = [max(width, cell_len(cell)) for width, cell in zip(self._widths, line, strict=True)]
        for line in lines:
            padded = [cell + " " * (width - cell_len(cell)) for width, cell in zip(self._widths, line, strict=True)]
            typer.echo("  ".join(padded).rstrip())
