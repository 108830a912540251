"""`mail preview`: what mails look like, with the templates that are in force."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated

import typer

from server.cli.command_line import Config
from server.cli.context import settings_for
from server.cli.tables import visible
from server.core.errors import FileRefused
from server.mail.model import MailKind
from server.mail.rendering.renderer import MailRenderer
from server.mail.rendering.samples import samples
from server.mail.rendering.template_check import checked_templates
from server.settings import Settings

_ALL = "all"
_ORIGIN = "https://auth.example.com"
_SENDER = "auth@example.com"
_RECIPIENT = "lak@example.com"


def preview(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The name of the mail, like reset-password, or all.")],
    language: Annotated[
        str | None, typer.Option(metavar="LANGUAGE", help="Only in this language.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write .txt, .html and .eml files there.", show_default=False),
    ] = None,
    config: Config = None,
) -> None:
    """Show what a mail says, with made-up values.

    It uses the templates that are in force, and says what is wrong with them. Nothing is sent.

    Example: mail preview reset-password --language de --output previews
    """
    settings = settings_for(context, config)
    if name != _ALL and name not in list(MailKind):
        raise typer.BadParameter(f"there is no {visible(name)}; choose one of: {_ALL}, {', '.join(MailKind)}")
    if language is not None and language not in settings.pages.languages:
        offered = ", ".join(settings.pages.languages)
        raise typer.BadParameter(f"pages.languages has {offered}", param_hint="--language")
    kinds = list(MailKind) if name == _ALL else [MailKind(name)]
    languages = settings.pages.languages if language is None else (language,)
    for stem, message in _previews(settings, kinds, languages):
        if output is None:
            typer.echo(f"{stem}: {visible(message['Subject'])}\n\n{_part(message, 'plain')}")
        else:
            _write(output, stem, message)


def _previews(
    settings: Settings, kinds: list[MailKind], languages: tuple[str, ...]
) -> Iterator[tuple[str, EmailMessage]]:
    """Each mail, with the name that its files have in front of the dot."""
    # There need be no mail server yet, and so no sender and no origin.
    sender = settings.mail.model_copy(update={"sender": settings.mail.sender or _SENDER})
    origin = settings.server.public_origin() or _ORIGIN
    templates = checked_templates(settings.mail.templates)
    renderer = MailRenderer(templates, settings.model_copy(update={"mail": sender}), origin)
    for kind in kinds:
        for language in languages:
            for number, values in enumerate(samples(kind), 1):
                stem = f"{kind}.{language}" if number == 1 else f"{kind}-{number}.{language}"
                yield (
                    stem,
                    renderer.render(
                        kind,
                        language,
                        values,
                        recipient=_RECIPIENT,
                        message_id=f"<{stem}@example.com>",
                        date_at=int(time.time() * 1000),
                    ),
                )


def _part(message: EmailMessage, subtype: str) -> str:
    body = message.get_body((subtype,))
    return str(body.get_content()) if body is not None else ""


def _write(folder: Path, stem: str, message: EmailMessage) -> None:
    """Write the files of a mail. Those of an earlier preview are replaced."""
    contents = {
        ".txt": f"Subject: {message['Subject']}\n\n{_part(message, 'plain')}".encode(),
        ".html": _part(message, "html").encode(),
        ".eml": message.as_bytes(),
    }
    for ending, content in contents.items():
        path = folder / f"{stem}{ending}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise FileRefused(f"{path} can't be written ({error.strerror})") from None
        typer.echo(f"wrote {visible(str(path))}")
