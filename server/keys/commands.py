"""`keys …`: the keys that sign, while the server runs or not."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from server.cli.command import Commands
from server.cli.command_line import Config
from server.cli.context import AsJson, print_json, run_with_services, settings_for
from server.cli.progress import progress_bar
from server.cli.tables import Rows, questions
from server.core.clock import rfc3339
from server.core.errors import WatchwordError
from server.keys.errors import RotationUnderWay
from server.keys.master_key_file import master_key_file
from server.keys.schemas import keys_json
from server.services import Services
from server.users.model import UserFilter
from watchword_client.keys import SHARED

app = Commands("The keys that sign tokens; the server may be running.\n\nExample: keys list")

# The sessions of so many users are ended at the same time.
PAGE = 200


@app.command("list")
def list_keys(context: typer.Context, as_json: AsJson = False, config: Config = None) -> None:
    """Print the keys: next, active, retired or revoked.

    Example: keys list
    """
    keys = run_with_services(settings_for(context, config), _described)
    if as_json:
        print_json({"keys": keys})
        return
    rows = Rows("kid", "algorithm", "state", "made", "signs from", "accepted until")
    rows.add(
        (
            str(key["kid"]),
            str(key["algorithm"]),
            str(key["state"]),
            str(key["created_at"]),
            key["activates_at"] or "when asked: keys rotate",
            key["accepted_until"] or "",
        )
        for key in keys
    )


async def _described(services: Services) -> list[dict[str, str | None]]:
    return keys_json(services.keys.current.keyring, services.clock.now_ms())


@app.command()
def rotate(
    context: typer.Context,
    at_once: Annotated[
        bool,
        typer.Option("--now", help="Do not wait until every cache of the JWKS knows the next key.", show_default=False),
    ] = False,
    config: Config = None,
) -> None:
    """Let the next key follow, and make another one.

    Tokens of the old key stay good until they expire.

    Example: keys rotate --now
    """

    async def work(services: Services) -> str:
        try:
            record = await services.keys.rotate(at_once=at_once)
        except RotationUnderWay as error:
            raise WatchwordError(
                f"a rotation is under way: the next key signs from {rfc3339(error.at)} on; "
                "with --now it does not wait for caches of the JWKS"
            ) from None
        if record.activates_at <= services.clock.now_ms():
            return f"{record.kid} signs now"
        return f"{record.kid} signs from {rfc3339(record.activates_at)} on, when every cache of the JWKS knows it"

    typer.echo(run_with_services(settings_for(context, config), work))


# A kid may begin with two dashes, too.
@app.command(context_settings={"ignore_unknown_options": True})
def revoke(
    context: typer.Context,
    kid: Annotated[str, typer.Argument(help="The name of the key, as `keys list` prints it.", show_default=False)],
    config: Config = None,
) -> None:
    """Revoke a key that is in wrong hands.

    Its tokens are refused within a second, and the next key signs at once.

    Example: keys revoke XQQD2ewyPr9CNQr4L9QHf6I1wUKuZuNzXUH7AqGzpA8
    """
    run_with_services(settings_for(context, config), lambda services: services.keys.revoke(kid))
    typer.echo(
        f"{kid} is revoked; its tokens are refused. Services that verify by the JWKS refuse them when they fetch it"
    )


@app.command()
def replace(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, also on a terminal.", show_default=False)] = False,
    config: Config = None,
) -> None:
    """After a break-in: replace all keys, end all sessions.

    No token that was made before is good for anything.

    It asks before, if this is a terminal. The audit log keeps its own key, and can still be verified.

    Example: keys replace
    """
    settings = settings_for(context, config)
    if sys.stdin.isatty() and not yes:
        with questions():
            typer.confirm("Replace all keys? Everybody has to log in again.", abort=True)
    with progress_bar("users") as bar:

        async def work(services: Services) -> bool:
            await services.keys.replace()
            after_id = None
            while users := await services.users.list(UserFilter(limit=PAGE, after_id=after_id)):
                await asyncio.gather(*(services.sessions.end_all(user.id) for user in users))
                after_id = users[-1].id
                bar.add(len(users))
            return any(record.algorithm == SHARED for record in services.keys.current.keyring.records)

        shared = run_with_services(settings, work)
    typer.echo("all keys of the store are replaced, and all sessions are over")
    if shared:
        typer.echo(
            "the secrets of HS256 are in the settings: put a new one in place of tokens.secret, then run: config reload"
        )


@app.command()
def rewrap(context: typer.Context, config: Config = None) -> None:
    """Change the master key.

    Beside an SQLite file a new one is made. Else the first of keys.master_key takes over.

    Example: keys rewrap
    """
    settings = settings_for(context, config)

    async def work(services: Services) -> int:
        file = master_key_file(settings, services.ids)
        if file is None:
            return await services.keys.rewrap()
        with file.changing():
            return await services.keys.rewrap()

    count = run_with_services(settings, work)
    if settings.keys.master_key:
        typer.echo(f"{count} keys are sealed under the first master key; the others can go from keys.master_key")
    else:
        typer.echo(f"{count} keys are sealed under a new master key; back up the .key file again")
