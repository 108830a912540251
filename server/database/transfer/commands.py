"""`store move`: everything in the store, to the other database or another place. `store reopen`: back again."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from server.cli.command_line import Config, postponing_signals
from server.cli.context import run_async, settings_for
from server.cli.progress import progress_bar
from server.cli.tables import Rows, program, questions
from server.core.clock import SystemClock
from server.core.errors import FileRefused, StoreRefused
from server.core.ids import Ids, SystemRandomness
from server.database.transfer import places
from server.database.transfer.ends import Source
from server.database.transfer.move import MovedTable, count_all, read_all
from server.database.transfer.move import move as move_all
from server.files.text_file import decode_text, read_text
from server.keys.model import KeyRecord
from server.keys.moving import MovedKey, moved_key
from server.logs.output import configure_logs
from server.repositories import open_repositories
from server.settings import Settings
from server.settings.store_url import store_url
from server.settings.stray_characters import stray_characters
from server.settings.tree import StoreSettings

# Digits of a checksum that are shown.
_SHOWN = 16

To = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="URL",
        help="The new store.url; @FILE reads it from a file, - from standard input, so nobody sees the password.",
        show_default=False,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Read and check everything, change nothing.")]


@dataclass(frozen=True)
class _Move:
    """What was asked for. `postponing` is for the step that must be done whole."""

    settings: Settings
    target: StoreSettings
    postponing: Callable[[], AbstractContextManager[None]]

    @property
    def place(self) -> str:
        """The target, without its password."""
        return places.shown(self.target.url)

    @property
    def to_do(self) -> str:
        """What to set in place of store.url."""
        url = f"sqlite:///{self.place}" if self.target.is_sqlite else self.place
        hidden = not self.target.is_sqlite and url != self.target.url
        return f"set store.url to {url}{' (with its password)' if hidden else ''}"


def move(context: typer.Context, to: To, dry_run: DryRun = False, config: Config = None) -> None:
    """Move the store to another database.

    Servers may be running. From then on the old store takes no writes.

    Example: store move --to @/etc/watchword/new-store-url --dry-run
    """
    settings = settings_for(context, config)
    configure_logs(settings.logs)
    asked = _Move(settings, _target(settings, to), partial(postponing_signals, context))
    run_async(_look(asked) if dry_run else _move(asked))


def _target(settings: Settings, to: str) -> StoreSettings:
    """The store that `--to` gives or names. Schema and limits of time are those of the settings."""
    try:
        if to == "-":
            to = decode_text(sys.stdin.buffer.read())
        elif to.startswith("@"):
            to = read_text(Path(to[1:]))
        url = store_url(to.strip())
        # The settings would not take it.
        if (reason := stray_characters(url)) is not None:
            raise typer.BadParameter(reason, param_hint="--to")
        # The settings are read for that URL later, and may say more of it then.
        return settings.store.model_copy(update={"url": url, "listen_url": ""})
    except OSError as error:
        raise FileRefused(f"{to[1:]} can't be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise FileRefused("what --to names is no text") from None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--to") from None


async def _look(asked: _Move) -> None:
    """Say what would be done."""
    with await _key(asked) as key:
        async with places.source_at(asked.settings.store) as source:
            await _refuse_moved(source, asked.target)
            async with source.reading():
                await places.check_target(asked.target, source)
                total = await count_all(source)
                begun = time.monotonic()
                with progress_bar("reading", total) as bar:
                    found = await read_all(source, bar.add)
                seconds = time.monotonic() - begun
    _print(found)
    typer.echo(f"these {total} rows would be moved from {source.place} to {asked.place}, which is empty")
    typer.echo(
        f"reading took {seconds:.1f} s; a move takes several times as long, and nothing can be changed meanwhile"
    )
    typer.echo(f"then: {asked.to_do}; {key.about}; restart every server")
    typer.echo("nothing was changed")


async def _move(asked: _Move) -> None:
    with await _key(asked) as key:
        async with places.source_at(asked.settings.store) as source:
            if await _is_complete(source, asked.target):
                typer.echo(f"everything is in {asked.place} already; {asked.to_do}; {key.about}; restart every server")
                return
            # A target that can't be used is found before anybody has to wait.
            async with source.reading():
                await places.check_target(asked.target, source)
                total = await count_all(source)
            begun = time.monotonic()
            with progress_bar("moving", 2 * total) as bar:
                async with source.held(), places.target_at(asked.target, source, key.file) as target:
                    found = await move_all(
                        source,
                        target,
                        move_id=_ids().new_id(),
                        now=SystemClock().now_ms(),
                        advance=bar.add,
                        uninterrupted=asked.postponing,
                    )
            seconds = time.monotonic() - begun
        _print(found)
        typer.echo(f"moved {source.place} to {asked.place} in {seconds:.1f} s, and compared both")
        typer.echo(f"now: {asked.to_do}; {key.about}; restart every server")
        typer.echo(f"until then the old store takes no writes; `{program()} store reopen` takes it into use again")


async def _key(asked: _Move) -> AbstractContextManager[MovedKey]:
    """The master key. Raises StoreRefused if there is no store, or it needs migrations."""
    repositories = await open_repositories(asked.settings.store, serving=False, migrating=False)
    try:
        records: Sequence[KeyRecord] = await repositories.keys.list_keys()
    finally:
        await repositories.close()
    return moved_key(asked.settings, records, _ids(), to_sqlite=asked.target.is_sqlite)


async def _is_complete(source: Source, target: StoreSettings) -> bool:
    """Whether an earlier move was done, but its end was not seen. Raises StoreRefused if it led elsewhere."""
    state = await source.state()
    if state is None or not state.is_moved:
        return False
    arrived = await places.state_at(target)
    if arrived is not None and arrived.move_id == state.move_id:
        return True
    raise StoreRefused(f"{state.reason}; to move it again, run `{program()} store reopen` first")


async def _refuse_moved(source: Source, target: StoreSettings) -> None:
    if await _is_complete(source, target):
        raise StoreRefused(f"everything is in {places.shown(target.url)} already")


def _ids() -> Ids:
    return Ids(SystemClock(), SystemRandomness())


def _print(found: Sequence[MovedTable]) -> None:
    rows = Rows("table", "rows", "checksum")
    rows.add((table.name, str(table.rows), table.checksum[:_SHOWN]) for table in found)


def reopen(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, also on a terminal.")] = False,
    config: Config = None,
) -> None:
    """Take a store that was moved into use again.

    Example: store reopen
    """
    settings = settings_for(context, config)
    configure_logs(settings.logs)
    if sys.stdin.isatty() and not yes:
        with questions():
            typer.confirm("What the new store has taken since is not here. Is no server running on it?", abort=True)
    state = run_async(places.reopen(settings.store))
    typer.echo(
        f"this store takes writes again, as it was before it was moved to {state.place}; let no server run on that one"
    )
