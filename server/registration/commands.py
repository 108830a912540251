"""`users invite` and the commands about invitations."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.command_line import Config
from server.cli.context import AsJson, print_json, run_with_services, settings_for
from server.cli.tables import Rows
from server.core.clock import rfc3339
from server.core.errors import NotFound
from server.core.ids import id_in
from server.emails.address import address_of
from server.registration.model import DEFAULT_LIFE_SECONDS, LONGEST_LIFE_SECONDS, MOST_USES, Invitation, NewInvitation
from server.registration.schemas import invitation_json, new_invitation_json
from server.services import Services
from server.settings import Settings

PAGE = 200


def invite(
    context: typer.Context,
    role: Annotated[
        str | None,
        typer.Option(metavar="ROLE", help="The role of who registers; else registration.role.", show_default=False),
    ] = None,
    email: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="The only address that it is for; else anybody.", show_default=False),
    ] = None,
    expires_in: Annotated[
        int, typer.Option(metavar="SECONDS", help="How long it lasts.", min=1, max=LONGEST_LIFE_SECONDS)
    ] = DEFAULT_LIFE_SECONDS,
    uses: Annotated[
        int, typer.Option(metavar="N", help="How many people can register with it.", min=1, max=MOST_USES)
    ] = 1,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Print a link with which somebody can register.

    Whoever has the link can use it, so hand it over where nobody else reads it. One for an address is mailed there too,
    if the settings say where mail goes out.

    Example: users invite --email lak@example.com
    """
    settings = settings_for(context, config)
    try:
        address = None if email is None else address_of(email)
    except ValueError as error:
        raise typer.BadParameter(f"{error}", param_hint="--email") from None

    async def work(services: Services) -> NewInvitation:
        return await services.invitations.invite(
            role=role, email=address, life_seconds=expires_in, uses=uses, created_by=None
        )

    new = run_with_services(settings, work)
    made, link = new.invitation, link_of(settings, new.token)
    if as_json:
        print_json(new_invitation_json(new) | {"link": link})
        return
    whom = made.email or f"{made.uses} {'person' if made.uses == 1 else 'people'}"
    typer.echo(f"invited {whom} ({made.role}) until {rfc3339(made.expires_at)}, id {made.id}")
    typer.echo(link)
    if new.mailed:
        typer.echo(f"the link is mailed to {made.email}")


def link_of(settings: Settings, token: str) -> str:
    """The address of the page that takes the token. The token is in the fragment, so no server and no log gets it."""
    return f"{settings.server.public_origin()}/invitation#{token}"


def list_invitations(context: typer.Context, as_json: AsJson = False, config: Config = None) -> None:
    """Print all invitations, the newest first.

    Example: users invitations
    """
    rows = run_with_services(settings_for(context, config), _all)
    if as_json:
        print_json({"invitations": [{**invitation_json(each), "state": state} for each, state in rows]})
        return
    table = Rows("id", "for", "role", "used", "made by", "expires", "state")
    table.add(
        (
            each.id,
            each.email or "anybody",
            each.role,
            f"{each.used} of {each.uses}",
            each.created_by or "a command",
            rfc3339(each.expires_at),
            state,
        )
        for each, state in rows
    )


async def _all(services: Services) -> list[tuple[Invitation, str]]:
    found: list[tuple[Invitation, str]] = []
    before_id = None
    while page := await services.invitations.list(PAGE, before_id):
        found += [(each, await services.invitations.state(each)) for each in page]
        before_id = page[-1].id
    return found


def uninvite(
    context: typer.Context,
    invitation: Annotated[str, typer.Argument(help="The id of the invitation.", show_default=False)],
    config: Config = None,
) -> None:
    """Let nobody register with an invitation any more.

    Example: users uninvite 019aa7d2-0c4b-7e19-a6f8-3b5d7c9e1f24
    """
    settings = settings_for(context, config)
    invitation_id = id_in(invitation)

    async def work(services: Services) -> None:
        if invitation_id is None:
            raise NotFound("There is no such invitation.")
        await services.invitations.withdraw(invitation_id)

    run_with_services(settings, work)
    typer.echo(f"the invitation {invitation_id} is withdrawn")
