"""`health`: asks a running server whether it is well, for container hosts and scripts.

A host may run it every few seconds. So it imports neither the server nor an HTTP library, and uses http.client.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import typer

from server.cli.command_line import Config, command_line_of
from server.core.errors import ConfigurationError, WatchwordError
from server.health.asking import ask
from server.settings.load import load_settings


def health(
    context: typer.Context,
    live: Annotated[
        bool, typer.Option("--live", help="Ask only whether the process answers.", show_default=False)
    ] = False,
    config: Config = None,
) -> None:
    """Ask the running server whether it is well. Exit 1 if no login could succeed.

    Example: health --live
    """
    server = load_settings(config or command_line_of(context).config).settings.server
    if server.port == 0:
        raise ConfigurationError(["server.port: is 0, so nobody knows which port was picked; give it a number"])
    path = "/health/live" if live else "/health/ready"
    status, body = ask(server, path)
    if status != HTTPStatus.OK or body.get("status") != "ok":
        told = f": {body['detail']}" if "detail" in body else ""
        raise WatchwordError(f"not {path.rpartition('/')[2]}: {path} was answered with {status}{told}")
    typer.echo(path.rpartition("/")[2])
