"""`migrate`: brings the tables of the store up to date, and says beforehand what that means for servers that run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from server.cli.command_line import Config
from server.cli.context import AsJson, print_json, run_async, settings_for
from server.database.live_nodes import LiveNode
from server.database.migration_files import Migration
from server.database.open import apply_migrations, live_nodes, pending_migrations
from server.database.pending_migrations import is_missing, nodes_that_stop
from server.logs.output import configure_logs
from server.settings.tree import StoreSettings

_UP_TO_DATE = "the store is up to date"


def migrate(
    context: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 if there is something to do.", show_default=False)
    ] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Bring the store up to date. `serve` does so too.

    --check says whether servers that run go on meanwhile.

    Example: migrate --check
    """
    if as_json and not check:
        raise typer.BadParameter("--json belongs to --check")
    settings = settings_for(context, config)
    configure_logs(settings.logs)
    if not check:
        for name in run_async(apply_migrations(settings.store)):
            typer.echo(f"applied  {name}")
        typer.echo(_UP_TO_DATE)
        return
    wanted, nodes = run_async(_look(settings.store))
    if as_json:
        print_json(_report(wanted, nodes))
    else:
        typer.echo("\n".join(_lines(wanted, nodes)))
    if wanted:
        raise typer.Exit(1)


async def _look(store: StoreSettings) -> tuple[list[Migration], list[LiveNode]]:
    """What is pending, and the servers that run and do not know all of it."""
    wanted = await pending_migrations(store)
    nodes = await live_nodes(store) if wanted else []
    return wanted, [node for node in nodes if node.latest_migration < wanted[-1].version]


def _report(wanted: Sequence[Migration], nodes: Sequence[LiveNode]) -> dict[str, Any]:
    return {
        "up_to_date": not wanted,
        "servers_go_on": not wanted or nodes_that_stop(wanted) == 0,
        "pending": [{"name": one.name, "needs": one.needs} for one in wanted],
        "older_servers": [node._asdict() for node in nodes],
    }


def _lines(wanted: Sequence[Migration], nodes: Sequence[LiveNode]) -> list[str]:
    if not wanted:
        return [_UP_TO_DATE]
    if is_missing(wanted):
        return [*(f"pending  {one.name}" for one in wanted), "there is no store yet"]
    lines = [f"pending  {one.name}  ({_who_goes_on(one)})" for one in wanted]
    lines += [f"running  {node}" for node in nodes]
    needed = nodes_that_stop(wanted)
    if needed:
        return [*lines, f"first stop all servers that do not know migration {needed}"]
    return [*lines, "servers of the previous program go on meanwhile"]


def _who_goes_on(migration: Migration) -> str:
    return f"servers have to know migration {migration.needs}" if migration.needs else "servers go on"
