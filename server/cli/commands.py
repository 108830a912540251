"""All commands, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from server import __version__
from server.audit import commands as audit
from server.cli.context import CommandLine
from server.cli.serve import serve
from server.database import commands as store
from server.documents import commands as access
from server.inspection import commands as tokens
from server.keys import commands as keys
from server.settings import commands as configuration
from server.users import commands as users
from server.users.transfer import commands as transfer

app = typer.Typer(
    help="Watchword: logins, short-lived tokens, sessions and roles for your API. Without a command it serves.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"watchword {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def common(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="Settings to read in place of config.toml.", metavar="PATH", show_default=False)
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options that stand before any command."""
    del version
    context.obj = CommandLine(config, context.obj)
    if context.invoked_subcommand is None:
        serve(context, demo=False, config=None)


app.command()(serve)
app.command()(store.migrate)
app.add_typer(store.app, name="store")
app.add_typer(configuration.app, name="config")
app.command()(access.routes)
app.command()(access.explain)
app.command()(access.openapi)
users.app.command("import")(transfer.import_users)
users.app.command("export")(transfer.export_users)
app.add_typer(users.app, name="users")
app.add_typer(keys.app, name="keys")
app.add_typer(tokens.app, name="token")
app.add_typer(audit.app, name="audit")
