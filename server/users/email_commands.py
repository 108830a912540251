"""`users set-email`: the primary address of an account."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.command_line import Config
from server.cli.context import run_with_services, settings_for
from server.cli.tables import visible
from server.emails.address import ADDRESS_RULE, address_of
from server.services import Services
from server.users.model import User


def set_email(
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="The user's name, address or id.", show_default=False)],
    email: Annotated[str | None, typer.Argument(metavar="ADDRESS", help="The address.", show_default=False)] = None,
    none: Annotated[bool, typer.Option("--none", help="Take the primary address away.")] = False,
    config: Config = None,
) -> None:
    """Give a user a primary e-mail address.

    It counts as verified and replaces the one before, and the user can log in with it.

    Example: users set-email lak lak@example.com
    """
    if (email is None) is not none:
        raise typer.BadParameter("give an address or --none", param_hint="ADDRESS")
    if email is not None:
        check_email(email, "ADDRESS")

    async def work(services: Services) -> User:
        found = (await services.users.find(user)).user
        return await services.users.update(found.id, email=email)

    changed = run_with_services(settings_for(context, config), work)
    typer.echo(f"{changed.username} has {changed.email or 'no primary address'} now")


def check_email(email: str, hint: str) -> None:
    """Refuse what is no address, as the value of the option or argument `hint`."""
    try:
        address_of(email)
    except ValueError as error:
        raise typer.BadParameter(f"{visible(str(error))}; {ADDRESS_RULE}", param_hint=hint) from None
