"""`audit …`: the audit log, while the server runs or not."""

from __future__ import annotations

import json
import re
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from server.audit.model import AuditEvent, AuditRecord
from server.audit.schemas import audit_json
from server.audit.service import Verdict
from server.audit.since import since
from server.cli.command import Commands
from server.cli.command_line import Config
from server.cli.context import AsJson, print_json, run_with_services, settings_for
from server.cli.progress import progress_bar
from server.cli.tables import Rows, visible
from server.core.clock import SystemClock
from server.core.errors import WatchwordError
from server.files.new_file import new_file
from server.services import Services

HEAD = re.compile(r"[0-9a-f]{64}")
app = Commands("Who did what to whom; the server may be running.\n\nExample: audit list --limit 10")

PAGE = 1000


def _since(text: str) -> int:
    """Epoch milliseconds."""
    try:
        return since(text, SystemClock().now_ms())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Since = Annotated[
    int | None,
    typer.Option(
        "--since",
        metavar="TIME",
        parser=_since,
        help="From then on: 2026-11-24T08:00:00Z, or how long ago: 24h, 7d.",
        show_default=False,
    ),
]


@app.command("list")
def list_events(
    context: typer.Context,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="How many records.")] = 50,
    event: Annotated[
        AuditEvent | None,
        typer.Option(metavar="EVENT", help="Only of this event, such as login_failed.", show_default=False),
    ] = None,
    actor: Annotated[
        str | None, typer.Option(metavar="USER", help="Only what this user did: id or name.", show_default=False)
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(metavar="TARGET", help="Only what was done to this user or key: id or name.", show_default=False),
    ] = None,
    since_at: Since = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Print the newest records, the newest first.

    Example: audit list --event login_failed --since 24h
    """

    async def work(services: Services) -> list[AuditRecord]:
        from_seq = None if since_at is None else await services.audit.first_since(since_at)
        found: list[AuditRecord] = []
        while len(found) < limit:
            before_seq = found[-1].seq if found else None
            wanted = min(PAGE, limit - len(found))
            page = await services.audit.page(
                limit=wanted, before_seq=before_seq, from_seq=from_seq, event=event, actor=actor, target=target
            )
            found += page
            if len(page) < wanted:
                break
        return found

    records = run_with_services(settings_for(context, config), work)
    if as_json:
        print_json({"events": [audit_json(record) for record in records]})
        return
    rows = Rows("seq", "at", "event", "actor", "target", "via", "ip", "before", "after")
    rows.add(map(_cells, records))


def _cells(record: AuditRecord) -> list[str]:
    shown = audit_json(record)
    actor = record.actor_name or record.actor_id or ""
    target = record.target_name or record.target_id or ""
    texts = [shown["at"], record.event, actor, target, record.via, record.ip or ""]
    return [str(record.seq), *texts, _short(shown["before"]), _short(shown["after"])]


def _short(members: dict[str, object] | None) -> str:
    return " ".join(f"{visible(name)}={json.dumps(value)}" for name, value in (members or {}).items())


def _head(text: str) -> str:
    """A head in lower case. A shorter text is refused: with an unset shell variable, nothing would be checked."""
    head = text.strip().lower()
    if not HEAD.fullmatch(head):
        raise typer.BadParameter("not a head: it has 64 hexadecimal digits, as audit verify prints them")
    return head


@app.command()
def verify(
    context: typer.Context,
    head: Annotated[
        str | None,
        typer.Option(
            metavar="HASH",
            help="The head that an earlier run has printed: the chain must pass it.",
            parser=_head,
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Prove that no record was altered or taken away.

    If one was, or one was inserted, it names the first bad one and exits with 1.

    Keep the printed head elsewhere: only with it can be noticed that the whole store was put back to an earlier state.

    Example: audit verify
    """
    with progress_bar("records") as bar:

        async def work(services: Services) -> Verdict:
            end = await services.audit.head()
            bar.show(0, None if end is None else end.seq)
            return await services.audit.verify(head, bar.show)

        verdict = run_with_services(settings_for(context, config), work)
    fault = verdict.fault
    if as_json:
        found = None if fault is None else {"seq": fault.seq, "reason": fault.reason}
        print_json({"count": verdict.count, "head": verdict.head, "fault": found})
    elif fault is None:
        typer.echo(f"{verdict.count} records, none altered, missing or inserted\nhead {verdict.head or 'none yet'}")
    if fault is not None:
        raise WatchwordError(f"the audit log is not whole: record {fault.seq} is {fault.reason}")


@app.command()
def export(
    context: typer.Context,
    path: Annotated[
        Path | None, typer.Argument(help="A new file, readable by you alone; else standard output.", show_default=False)
    ] = None,
    since_at: Since = None,
    config: Config = None,
) -> None:
    """Write all records as JSON lines, the oldest first.

    Example: audit export audit.jsonl --since 7d
    """
    settings = settings_for(context, config)
    with nullcontext(sys.stdout.buffer) if path is None else new_file(path) as output:

        async def work(services: Services) -> int:
            from_seq = None if since_at is None else await services.audit.first_since(since_at)
            count = 0
            async for page in services.audit.pages(from_seq):
                # In ASCII, so no value can contain a line break.
                output.writelines(json.dumps(audit_json(record)).encode("ascii") + b"\n" for record in page)
                count += len(page)
            output.flush()
            return count

        count = run_with_services(settings, work)
    if path is not None:
        typer.echo(f"{count} records written to {path}")
