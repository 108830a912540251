"""`users import` and `users export` read accounts from a file and write them to one, also while the server runs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from server.audit.model import AuditEvent, AuditNote
from server.cli.command_line import Config
from server.cli.context import AsJson, print_json, run_with_services, settings_for
from server.cli.progress import Bar, progress_bar
from server.cli.tables import visible
from server.core.errors import FileRefused
from server.files.new_file import new_file
from server.files.text_file import read_text
from server.passwords.firebase import FirebaseParameters
from server.services import Services
from server.users.transfer.exporter import export_pages
from server.users.transfer.firebase_export import read_firebase, read_hash_config
from server.users.transfer.formats import read_csv, read_json_lines
from server.users.transfer.importer import ImportCounts, Importer, Refusal
from server.users.transfer.lines import Record, read_lines
from watchword_client.access import Roles


class Format(StrEnum):
    """The formats of an export."""

    JSONL = "jsonl"
    CSV = "csv"


class ImportFormat(StrEnum):
    """The formats of an import."""

    JSONL = "jsonl"
    CSV = "csv"
    FIREBASE = "firebase"


def import_users(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="JSON lines or CSV; - is standard input.")],
    file_format: Annotated[
        ImportFormat | None, typer.Option("--format", help="Else by the ending: .jsonl, .ndjson, .csv.")
    ] = None,
    role: Annotated[
        str | None, typer.Option(metavar="ROLE", help="The role of those without one.", show_default=False)
    ] = None,
    hash_config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Firebase's password hash parameters, as its console shows them.", show_default=False
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing and report the same.", show_default=False)
    ] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Take accounts with their password hashes from a file.

    Accounts that are there already stay as they are. What is wrong is named.

    Example: users import users.csv --role customer --dry-run
    """
    settings = settings_for(context, config)
    chosen = file_format or _format_of(file)
    if role is not None and role not in (roles := Roles(settings.role_includes)):
        raise typer.BadParameter(f"there is no role {role!a}; roles: {', '.join(roles.names())}", param_hint="--role")
    parameters = _parameters(chosen, hash_config, role)
    with _opened(file) as source, progress_bar("importing", _size_of(source)) as bar:

        def refuse(refusal: Refusal) -> None:
            text = json.dumps(_members(refusal)) if as_json else _line(refusal)
            if bar.disable:
                print(text, file=sys.stderr)
            else:
                bar.console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)

        async def work(services: Services) -> Importer:
            importer = Importer(
                driver=services.repositories.driver,
                users=services.repositories.users,
                audit=services.repositories.audit,
                throttle=services.throttle,
                roles=services.roles,
                clock=services.clock,
                role=role,
                dry_run=dry_run,
                refuse=refuse,
                advance=lambda: _advance(bar, source),
            )
            try:
                await importer.run(_records(source, chosen, parameters))
            except FileRefused:
                raise
            except BaseException:
                # The batch that was being written may be in the store too.
                so_far = _summary(importer.counts, dry_run=dry_run)
                print(f"stopped before the end of the file: {so_far}, or more; run it again to go on", file=sys.stderr)
                raise
            return importer

        counts = run_with_services(settings, work, makes_store=not dry_run).counts
    if as_json:
        print_json({"dry_run": dry_run, **asdict(counts)})
    else:
        typer.echo(_summary(counts, dry_run=dry_run))
    if counts.refused:
        raise typer.Exit(1)


def export_users(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="A file to make; else standard output.")] = None,
    file_format: Annotated[
        Format | None,
        typer.Option("--format", help="Else by the ending of FILE; without FILE jsonl.", show_default=False),
    ] = None,
    config: Config = None,
) -> None:
    """Write all accounts with their password hashes.

    `users import` reads the file, which is as secret as the store.

    Example: users export users.jsonl
    """
    settings = settings_for(context, config)
    chosen = file_format or (Format(_format_of(file)) if file is not None else Format.JSONL)
    with nullcontext(sys.stdout.buffer) if file is None else new_file(file) as target:

        async def work(services: Services) -> int:
            total = 0
            # The record comes first, because an export that fails halfway has already given accounts out.
            await services.repositories.audit.record(AuditNote(AuditEvent.USERS_EXPORTED, services.clock.now_ms()))
            async for count, text in export_pages(services.repositories.users, as_csv=chosen is Format.CSV):
                target.write(text.encode("utf-8"))
                total += count
            target.flush()
            return total

        total = run_with_services(settings, work)
    if file is None:
        # Standard output has the export itself.
        print(f"exported {total}", file=sys.stderr)
    else:
        typer.echo(f"exported {total} to {file}")


def _format_of(file: Path) -> ImportFormat:
    known = {".jsonl": ImportFormat.JSONL, ".ndjson": ImportFormat.JSONL, ".csv": ImportFormat.CSV}
    found = known.get(file.suffix.lower())
    if found is None:
        raise typer.BadParameter("the ending of the file does not tell its format, so give one", param_hint="--format")
    return found


def _records(source: BinaryIO, chosen: ImportFormat, parameters: FirebaseParameters | None) -> Iterator[Record]:
    if parameters is not None:
        return read_firebase(source, parameters)
    lines = read_lines(source)
    return read_csv(lines) if chosen is ImportFormat.CSV else read_json_lines(lines)


def _parameters(chosen: ImportFormat, file: Path | None, role: str | None) -> FirebaseParameters | None:
    """The parameters in the file of --hash-config; None for a format that does not need them."""
    if chosen is not ImportFormat.FIREBASE:
        if file is not None:
            raise typer.BadParameter("this is for --format firebase alone", param_hint="--hash-config")
        return None
    if file is None or role is None:
        raise typer.BadParameter("firebase needs --hash-config and --role as well", param_hint="--format")
    try:
        return read_hash_config(read_text(file))
    except OSError as error:
        raise typer.BadParameter(f"{file} can't be read ({error.strerror})", param_hint="--hash-config") from None
    except UnicodeDecodeError:
        raise FileRefused(f"{file} is not UTF-8") from None
    except ValueError as error:
        raise FileRefused(f"{file}: {error}") from None


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        opened = file.open("rb")
    except OSError as error:
        raise typer.BadParameter(f"{file} can't be read ({error.strerror})", param_hint="FILE") from None
    with opened:
        yield opened


def _size_of(source: BinaryIO) -> int | None:
    """The size in bytes; None for a pipe."""
    return os.fstat(source.fileno()).st_size if source.seekable() else None


def _advance(bar: Bar, source: BinaryIO) -> None:
    if source.seekable():
        bar.show(source.tell())


def _summary(counts: ImportCounts, *, dry_run: bool) -> str:
    verb = "would import" if dry_run else "imported"
    return f"{verb} {counts.imported}, already there {counts.already_there}, refused {counts.refused}"


def _members(refusal: Refusal) -> dict[str, Any]:
    """The members of a refusal in JSON. `user` is left out if the accounts of the format have no numbers."""
    return {name: value for name, value in asdict(refusal).items() if name != "user" or value is not None}


def _line(refusal: Refusal) -> str:
    """The refusal in one line, whatever characters the file has."""
    user = "" if refusal.user is None else f", user {refusal.user}"
    name = "" if refusal.username is None else f" {visible(refusal.username)}:"
    return f"line {refusal.line}{user}:{name} {visible(refusal.reason)}"
