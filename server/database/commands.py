"""`migrate`: the tables of the store. `store backup`: a copy of it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from server.cli.command import Commands
from server.cli.context import Config, run_async, settings_for
from server.cli.progress import progress_bar
from server.core.errors import StoreRefused
from server.database.open import apply_migrations, back_up, pending_migrations
from server.database.sqlite.backup import key_beside
from server.keys.master_key_file import master_key_path, read_keys, unchanged
from server.logs.output import configure_logs
from server.settings import Settings

app = Commands("Look after the store; the server may be running.")


def migrate(
    context: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 if there is something to do.", show_default=False)
    ] = False,
    config: Config = None,
) -> None:
    """Bring the store up to date. `serve` does so too."""
    settings = settings_for(context, config)
    configure_logs(settings.logs)
    if check:
        names = run_async(pending_migrations(settings.store.url))
        for name in names:
            typer.echo(f"pending  {name}")
        if names:
            raise typer.Exit(1)
    else:
        for name in run_async(apply_migrations(settings.store.url)):
            typer.echo(f"applied  {name}")
    typer.echo("the store is up to date")


@app.command()
def backup(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="The file to make.", show_default=False)],
    without_key: Annotated[
        bool, typer.Option("--without-key", help="Leave the master key out.", show_default=False)
    ] = False,
    config: Config = None,
) -> None:
    """Copy an SQLite store as it is at this moment, and its master key to PATH.key."""
    settings = settings_for(context, config)
    configure_logs(settings.logs)
    key = master_key_path(settings)
    with ExitStack() as stack, progress_bar("copying") as progress:
        content = None
        if key is not None and os.path.lexists(key) and not without_key:
            # The key must not change during the copy, or it would not open the copy.
            stack.enter_context(unchanged(key))
            content = _read(key)
        task = progress.task_ids[0]

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        run_async(back_up(settings.store.url, path, show, content))
    typer.echo(f"backed up to {path}, checked")
    typer.echo(_about_key(settings, path, without_key=without_key))


def _read(key: Path) -> bytes:
    """The bytes of the key file. Raises StoreRefused if it is not a valid key file."""
    try:
        read_keys(key)
        return key.read_bytes()
    except (OSError, StoreRefused) as error:
        raise StoreRefused(f"{error}; or use --without-key") from None


def _about_key(settings: Settings, path: Path, *, without_key: bool) -> str:
    key = master_key_path(settings)
    if key is None:
        return "the master key is in the settings (keys.master_key); keep it too, in another place"
    if not os.path.lexists(key):
        return "this store has no master key yet"
    if without_key:
        return f"the master key is not in it; keep {key} too, in another place"
    return f"the master key is beside it, in {key_beside(path)}: whoever has both can sign tokens"
