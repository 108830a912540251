"""`mail test`: whether mail goes out."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.command_line import Config
from server.cli.context import run_async, settings_for
from server.cli.tables import visible
from server.core.clock import SystemClock
from server.core.errors import WatchwordError
from server.core.ids import Ids, SystemRandomness
from server.emails.address import ADDRESS_RULE, address_of
from server.mail.model import MailKind
from server.mail.rendering.renderer import MailRenderer
from server.mail.transport.model import OutgoingMail
from server.mail.transport.steps import MESSAGE, steps
from server.settings import Settings
from server.settings.mail import mailbox_parts
from server.settings.masking import masked_url


def send_test(
    context: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Who gets the mail.")],
    config: Config = None,
) -> None:
    """Send a mail, and say step by step what works. Exit 1 if it is not accepted.

    The server need not run, and the mail does not wait with others.

    Example: mail test lak@example.com
    """
    try:
        recipient = address_of(address)
    except ValueError as error:
        raise typer.BadParameter(f"{visible(str(error))}; {ADDRESS_RULE}", param_hint="ADDRESS") from None
    settings = settings_for(context, config)
    if not settings.mail.enabled:
        raise WatchwordError("no mail is sent, since mail.url is empty; docs/mail.md says what to write there")
    run_async(_test(settings, recipient))


async def _test(settings: Settings, recipient: str) -> None:
    """Raises WatchwordError with what does not work."""
    clock = SystemClock()
    ids = Ids(clock, SystemRandomness())
    mail = _mail(settings, recipient, ids, clock.now_ms())
    typer.echo(_line("settings", f"{masked_url(settings.mail.url)}, from {settings.mail.sender}"))
    async with steps(settings, ids, mail) as made:
        async for step in made:
            if step.remedy is not None:
                raise WatchwordError(f"{step.name}: {step.text}; {step.remedy}")
            typer.echo(_line(step.name, step.text))
            if step.name == MESSAGE:
                message_id = mail.message["Message-ID"]
                typer.echo(f"mail {message_id} is on its way; if it does not arrive, look into the folder for spam")


def _mail(settings: Settings, recipient: str, ids: Ids, now: int) -> OutgoingMail:
    """The mail `test` in the default language. Raises ConfigurationError if the templates can't be used."""
    message = MailRenderer.of(settings).render(
        MailKind.TEST,
        None,
        {},
        recipient=recipient,
        message_id=f"<{ids.new_id()}@{mailbox_parts(settings.mail.sender).domain}>",
        date_at=now,
    )
    return OutgoingMail(recipient, message)


def _line(name: str, text: str) -> str:
    return f"{name:<11} {visible(text)}"
