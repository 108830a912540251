"""Progress bars, on standard error if it is a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


class Bar(Progress):
    """A bar with one task."""

    def show(self, done: int, total: int | None = None) -> None:
        """So much is done; without `total` it stays as it was."""
        self.update(self.task_ids[0], completed=done, total=total)

    def add(self, count: int) -> None:
        """So much more is done."""
        self.advance(self.task_ids[0], count)


def progress_bar(description: str, total: int | None = None) -> Bar:
    """A bar that disappears at the end."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    bar = Bar(*columns, console=console, disable=not console.is_terminal, transient=True)
    bar.add_task(description, total=total)
    return bar
