"""`health`: asks a running server whether it is well, for container hosts and scripts.

A host may run it every few seconds. So it imports neither the server nor an HTTP library, and uses http.client.
"""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from server.cli.command_line import command_line_of
from server.core.errors import ConfigurationError, WatchwordError
from server.settings.load import load_settings
from server.settings.tree import ServerSettings

# The server answers within a second. Nobody should wait much longer for one that hangs.
WAIT_SECONDS = 3.0
_LONGEST_ANSWER = 65536
# A server that listens on all addresses is asked on the loopback.
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened on


def health(
    context: typer.Context,
    live: Annotated[
        bool, typer.Option("--live", help="Ask only whether the process answers.", show_default=False)
    ] = False,
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings to read in place of config.toml.", show_default=False)
    ] = None,
) -> None:
    """Ask the running server whether it is well. Exit 1 if no login could succeed."""
    server = load_settings(config or command_line_of(context).config).settings.server
    if server.port == 0:
        raise ConfigurationError(["server.port: is 0, so nobody knows which port was picked; give it a number"])
    path = "/health/live" if live else "/health/ready"
    status, body = _ask(server, path)
    if status != http.HTTPStatus.OK or body.get("status") != "ok":
        told = f": {body['detail']}" if "detail" in body else ""
        raise WatchwordError(f"not {path.rpartition('/')[2]}: {path} was answered with {status}{told}")
    typer.echo(path.rpartition("/")[2])


def _ask(server: ServerSettings, path: str) -> tuple[int, dict[str, Any]]:
    """The status of the answer, and its JSON; nothing if it is not Watchword's."""
    host = _LOOPBACK.get(server.host, server.host)
    connection = http.client.HTTPConnection(host, server.port, timeout=WAIT_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read(_LONGEST_ANSWER)
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise WatchwordError(f"not answering: {host} port {server.port}: {reason}") from None
    finally:
        connection.close()
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    return answer.status, body if isinstance(body, dict) else {}
