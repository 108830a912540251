"""`migrate`: the tables of the store."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from server.cli.state import Config, settings_for
from server.observe.logs import configure_logs
from server.store.open import apply_migrations, pending_migrations


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
        names = asyncio.run(pending_migrations(settings.store.url))
        for name in names:
            typer.echo(f"pending  {name}")
        if names:
            raise typer.Exit(1)
    else:
        for name in asyncio.run(apply_migrations(settings.store.url)):
            typer.echo(f"applied  {name}")
    typer.echo("the store is up to date")
