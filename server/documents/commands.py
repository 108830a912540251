"""The commands `routes`, `explain` and `openapi`."""

from __future__ import annotations

from typing import Annotated

import typer

from server.access.explain import explain as explained
from server.cli.command_line import Config
from server.cli.context import AsJson, print_json, run_with_services, settings_for
from server.cli.tables import Rows, program
from server.core.errors import ConfigurationError, Unauthorized
from server.documents.openapi import openapi_bytes, openapi_document
from server.documents.schemas import explain_json
from server.routes import route_table
from server.services import Services
from watchword_client.access import Decision


def routes(context: typer.Context, as_json: AsJson = False, config: Config = None) -> None:
    """Print the effective role table.

    Example: routes --json
    """
    listing = route_table(settings_for(context, config)).listing()
    if as_json:
        print_json({"routes": listing})
        return
    rows = Rows("method", "path", "open to", "roles that may", "", "asks for a recent sign-in")
    rows.add(
        (
            str(row["method"]),
            str(row["path"]),
            str(row["access"]),
            ", ".join(row["roles"]) if isinstance(row["roles"], list) else "",
            "overridden" if row["overridden"] else "",
            str(row["recent"]),
        )
        for row in listing
    )


def explain(
    context: typer.Context,
    method: Annotated[str, typer.Argument(help="GET, POST, …")],
    path: Annotated[str, typer.Argument(help="/users or /users/{user_id} or a real path")],
    role: Annotated[str | None, typer.Option(metavar="ROLE", help="Decide for this role.", show_default=False)] = None,
    token: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="Decide for the role of this access token.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Say whether a call would be allowed, and why.

    Without role and token it decides for a caller without a token.

    Example: explain GET /users --role customer
    """
    settings = settings_for(context, config)
    path = path.partition("?")[0]
    if role is not None and token is not None:
        raise ConfigurationError(["explain: give --role or --token, not both"])
    if role is not None and role not in settings.roles:
        raise ConfigurationError([f"explain: there is no role {role!r}; roles: {', '.join(settings.roles)}"])
    routes = route_table(settings)
    table = routes.role_table
    without_token = explained(table, method.upper(), path, None)
    if without_token is None:
        typer.echo(f"{method.upper()} {path}: there is no such route; `{program()} routes` lists them", err=True)
        raise typer.Exit(1)
    name, decision = without_token
    recent = routes.recent(name)
    if token is not None:
        try:
            role = run_with_services(settings, lambda services: _role_of(services, token))
        except Unauthorized as error:
            # A route that is open to anyone does not check the token.
            _say(as_json, method, path, recent, allowed=decision.allowed, reason=f"{error.code}: {error.detail}")
            return
    decision = table.decide(name, role)
    _say(as_json, method, path, recent, allowed=decision.allowed, reason=decision.reason)


async def _role_of(services: Services, token: str) -> str:
    return (await services.authenticator.verify(token)).role


def _say(as_json: bool, method: str, path: str, recent: str, *, allowed: bool, reason: str) -> None:
    if as_json:
        print_json(explain_json(method.upper(), path, Decision(allowed, reason), recent))
    else:
        if allowed and recent:
            reason = f"{reason}; it asks for a recent sign-in: {recent}"
        typer.echo(f"{'allowed' if allowed else 'denied'}: {method.upper()} {path}: {reason}")


def openapi(context: typer.Context, config: Config = None) -> None:
    """Print the OpenAPI document.

    Example: openapi
    """
    settings = settings_for(context, config)
    document = openapi_document(route_table(settings).rows, settings.server.public_url)
    typer.echo(openapi_bytes(document).decode())
