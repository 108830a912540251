"""`mail list` and `mail retry`."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.command_line import Config
from server.cli.context import AsJson, print_json, run_with_services, settings_for
from server.cli.tables import Rows
from server.core.clock import rfc3339
from server.core.errors import NotFound
from server.core.ids import id_in
from server.mail.errors import MailNotRetryable
from server.mail.outbox_model import MailRecord, MailState
from server.mail.schemas import mail_json
from server.services import Services

PAGE = 200


def list_mails(
    context: typer.Context,
    state: Annotated[
        MailState | None,
        typer.Option(metavar="STATE", help="Only waiting, sent or given_up.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="How many mails.")] = 50,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Print the newest mails, the newest first. What is in them is not shown.

    Example: mail list --state given_up
    """

    async def work(services: Services) -> list[MailRecord]:
        found: list[MailRecord] = []
        while len(found) < limit:
            wanted = min(PAGE, limit - len(found))
            page = await services.mails.list(state, wanted, found[-1].id if found else None)
            found += page
            if len(page) < wanted:
                break
        return found

    mails = run_with_services(settings_for(context, config), work)
    if as_json:
        print_json({"mails": [mail_json(mail) for mail in mails]})
        return
    rows = Rows("id", "kind", "recipient", "state", "attempts", "written", "next or end", "reason")
    rows.add(map(_cells, mails))


def _cells(mail: MailRecord) -> list[str]:
    then = mail.next_attempt_at if mail.ended_at is None else mail.ended_at
    written = [rfc3339(mail.created_at), rfc3339(then)]
    return [mail.id, mail.kind, mail.recipient, mail.state, str(mail.attempts), *written, mail.reason or ""]


def retry(
    context: typer.Context,
    mail: Annotated[str | None, typer.Argument(help="The id of a mail.", show_default=False)] = None,
    all_mails: Annotated[
        bool, typer.Option("--all", help="All that were tried and not sent.", show_default=False)
    ] = False,
    config: Config = None,
) -> None:
    """Let a mail be tried at once that waits or was given up. The running server sends it.

    Example: mail retry --all
    """
    if (mail is None) is not all_mails:
        raise typer.BadParameter("name a mail by its id, or give --all")
    settings = settings_for(context, config)
    mail_id = None if mail is None else id_in(mail)

    async def work(services: Services) -> int:
        if all_mails:
            return await _retry_all(services)
        if mail_id is None:
            raise NotFound("There is no such mail.")
        await services.mails.retry(mail_id)
        return 1

    count = run_with_services(settings, work)
    typer.echo(f"{count} {'mail is' if count == 1 else 'mails are'} tried at once")
    if count and not settings.mail.enabled:
        typer.echo("No mail is sent at present: mail.url is empty.", err=True)


async def _retry_all(services: Services) -> int:
    """How many are tried again. What can't be is left out."""
    count = 0
    for state in (MailState.WAITING, MailState.GIVEN_UP):
        before_id = None
        while page := await services.mails.list(state, PAGE, before_id):
            for mail in page:
                if mail.attempts:
                    count += await _retried(services, mail.id)
            before_id = page[-1].id
    return count


async def _retried(services: Services, mail_id: str) -> bool:
    try:
        await services.mails.retry(mail_id)
    except (NotFound, MailNotRetryable):
        return False
    return True
