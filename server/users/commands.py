"""`users …`: accounts, while the server runs or not."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from server.cli.command import Commands
from server.cli.command_line import Config
from server.cli.context import AsJson, print_json, run_with_services, settings_for
from server.cli.tables import questions
from server.core.errors import FileRefused, WatchwordError
from server.files.text_file import first_line
from server.services import Services
from server.settings.stray_characters import stray_characters
from server.users.email_commands import check_email, set_email
from server.users.model import User
from server.users.names import USERNAME_RULE, username_of
from server.users.reading_commands import list_users, show
from server.users.schemas import user_json
from server.users.service import CreatedUser

app = Commands("Make and change accounts; the server may be running.\n\nExample: users list")

RESET_HINT = "reset token, to set a password with POST /password/reset"


@app.command()
def create(
    context: typer.Context,
    username: Annotated[
        str | None, typer.Option(metavar="NAME", help="The name to log in with.", show_default=False)
    ] = None,
    role: Annotated[str | None, typer.Option(metavar="ROLE", help="The role.", show_default=False)] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The name to show; else the username.", show_default=False)
    ] = None,
    email: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="An e-mail address, which is verified.", show_default=False)
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input; else print a reset token.")
    ] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Make a user. On a terminal it asks for what is not given.

    Example: users create --username lak --role customer
    """
    settings = settings_for(context, config)
    asking = sys.stdin.isatty() and not password_stdin
    chosen = _given("--username", username, asking=asking)
    try:
        username_of(chosen)
    except ValueError as error:
        raise typer.BadParameter(f"{error}; {USERNAME_RULE}", param_hint="--username") from None
    if email is not None:
        check_email(email, "--email")
    chosen_role = _given("--role", role, asking=asking, choices=list(settings.roles))
    password = read_password() if password_stdin else None
    if asking:
        password = _ask_for_password("Password (nothing: print a reset token instead)", default="") or None

    async def work(services: Services) -> CreatedUser:
        return await services.users.create(chosen, name or chosen, chosen_role, password, email)

    created = run_with_services(settings, work, makes_store=True)
    if as_json:
        answer: dict[str, object] = {"user": user_json(created.user)}
        print_json(answer | ({"reset_token": created.reset_token} if created.reset_token else {}))
        return
    typer.echo(f"made {created.user.username} ({created.user.role}), id {created.user.id}")
    if created.reset_token is not None:
        typer.echo(f"{RESET_HINT}: {created.reset_token}")


def _given(option: str, value: str | None, *, asking: bool, choices: Sequence[str] = ()) -> str:
    """What the option says, or else the user at the terminal."""
    if value is not None:
        return value
    if not asking:
        raise typer.BadParameter("is needed; on a terminal it would be asked for", param_hint=option)
    choice = f" ({', '.join(choices)})" if choices else ""
    with questions():
        answer: str = typer.prompt(option.removeprefix("--").capitalize() + choice)
    return answer.strip()


def _ask_for_password(question: str, default: str | None = None) -> str:
    """Asked for twice, and not shown. The default, if there is one, needs no second time."""
    with questions():
        while True:
            answer: str = typer.prompt(question, hide_input=True, default=default, show_default=False)
            if answer == default or answer == typer.prompt("The same again", hide_input=True):
                return answer
            typer.echo("These are two different passwords.")


def read_password() -> str:
    """The first line of standard input, as it was meant: what shells put around it is refused."""
    try:
        password = first_line(sys.stdin.buffer)
    except UnicodeDecodeError:
        raise typer.BadParameter("the password is not UTF-8", param_hint="standard input") from None
    except FileRefused:
        password = ""
    if not password:
        raise typer.BadParameter("there is no password; its first line has to be one", param_hint="standard input")
    reason = stray_characters(password)
    if reason is not None:
        raise typer.BadParameter(f"the password {reason}", param_hint="standard input")
    return password


app.command("list")(list_users)
app.command("show")(show)

Username = Annotated[str, typer.Argument(help="The user's name or verified address.", show_default=False)]


@app.command()
def rename(
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="The user's name, address or id.", show_default=False)],
    new_username: Annotated[str, typer.Argument(help="The new name to log in with.", show_default=False)],
    config: Config = None,
) -> None:
    """Give a user another username.

    The sessions go on, and the next refresh brings a token with the new name.

    Example: users rename lak lakmoore
    """

    async def work(services: Services) -> tuple[User, User]:
        before = (await services.users.find(user)).user
        return before, await services.users.rename(before.id, new_username)

    before, after = run_with_services(settings_for(context, config), work)
    if after == before:
        raise WatchwordError(f"{before.username} has this name already")
    typer.echo(f"{before.username} is {after.username} now; the next refresh brings a token with the new name")


app.command("set-email")(set_email)


@app.command()
def disable(context: typer.Context, username: Username, config: Config = None) -> None:
    """Lock a user out. Every session ends within a second.

    Example: users disable lak
    """
    _update(context, config, username, disabled=True)
    typer.echo(f"{username} is disabled; all sessions are over")


@app.command()
def enable(context: typer.Context, username: Username, config: Config = None) -> None:
    """Let a disabled user log in again.

    Example: users enable lak
    """
    _update(context, config, username, disabled=False)
    typer.echo(f"{username} is enabled")


@app.command("set-role")
def set_role(
    context: typer.Context,
    username: Username,
    role: Annotated[str | None, typer.Argument(help="The new role.", show_default=False)] = None,
    role_option: Annotated[
        str | None,
        typer.Option("--role", metavar="ROLE", help="The new role, as `users create` takes it.", show_default=False),
    ] = None,
    config: Config = None,
) -> None:
    """Give a user another role.

    Access tokens with the old one end within a second. The session goes on.

    Example: users set-role lak admin
    """
    wanted = role or role_option
    if wanted is None or (role and role_option):
        raise typer.BadParameter("give the role, once", param_hint="ROLE")
    _update(context, config, username, role=wanted)
    typer.echo(f"{username} has the role {wanted}; the next refresh brings a token with it")


@app.command("set-password")
def set_password(
    context: typer.Context,
    username: Username,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read it from standard input, also from a terminal.")
    ] = False,
    config: Config = None,
) -> None:
    """Give a user a new password.

    It is asked for on a terminal, or read from standard input. Every session ends.

    Example: users set-password lak
    """
    settings = settings_for(context, config)
    asking = sys.stdin.isatty() and not password_stdin
    password = _ask_for_password("New password") if asking else read_password()

    async def work(services: Services) -> None:
        await services.user_passwords.replace(await services.users.credentials_of(username), password)

    run_with_services(settings, work)
    typer.echo(f"{username} has a new password; all sessions are over")


@app.command("reset-password")
def reset_password(context: typer.Context, username: Username, as_json: AsJson = False, config: Config = None) -> None:
    """Print a token that sets a new password, once.

    The current password stays good until then.

    Example: users reset-password lak
    """
    settings = settings_for(context, config)

    async def work(services: Services) -> str:
        user = (await services.users.credentials_of(username)).user
        return await services.user_passwords.request_reset(user.id)

    token = run_with_services(settings, work)
    expires_in = settings.passwords.reset_ttl_seconds
    if as_json:
        print_json({"reset_token": token, "expires_in": expires_in})
        return
    typer.echo(f"{RESET_HINT}, good for {expires_in} s: {token}")


@app.command()
def delete(
    context: typer.Context,
    username: Username,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, also on a terminal.")] = False,
    config: Config = None,
) -> None:
    """Delete a user. Every session ends within a second.

    It asks before, if this is a terminal.

    Example: users delete lak
    """
    settings = settings_for(context, config)

    async def find(services: Services) -> User:
        return (await services.users.credentials_of(username)).user

    user = run_with_services(settings, find)
    if sys.stdin.isatty() and not yes:
        question = f"Delete {user.username} ({user.role}), id {user.id}? This can't be undone."
        with questions():
            typer.confirm(question, abort=True)
    # By the id: nobody else who has got the name meanwhile.
    run_with_services(settings, lambda services: services.users.delete(user.id))
    typer.echo(f"{user.username} is deleted; all sessions are over")


def _update(
    context: typer.Context, config: Path | None, username: str, *, role: str | None = None, disabled: bool | None = None
) -> None:
    async def work(services: Services) -> None:
        user = (await services.users.credentials_of(username)).user
        await services.users.update(user.id, role=role, disabled=disabled)

    run_with_services(settings_for(context, config), work)
