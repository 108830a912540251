"""`store backup`: a copy of it. `store restore`: a copy in its place."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from server.audit.model import AuditRecord
from server.audit.repository import AuditRepository
from server.cli.command import Commands
from server.cli.command_line import Config
from server.cli.context import run_async, settings_for
from server.cli.progress import progress_bar
from server.core.clock import SystemClock, rfc3339
from server.core.errors import StoreRefused
from server.core.ids import Ids, SystemRandomness
from server.database.open import back_up, sqlite_path
from server.database.sqlite.backup import key_beside
from server.database.sqlite.condition import opened
from server.database.sqlite.contents import beside
from server.database.sqlite.copy_reader import CopyReader, open_copy, open_moved_away
from server.database.sqlite.new_store import refuse_present
from server.database.sqlite.restore import restore as restore_copy
from server.keys.master_key_file import master_key_path, read_keys, unchanged
from server.keys.model import KeyRecord
from server.keys.repository import KeyRepository
from server.keys.sealing import MasterKey
from server.logs.output import configure_logs
from server.settings import Settings
from server.settings.secrets import texts

# Records of the audit log that are read at a time.
PAGE = 1000
# Since these migrations keys and audit log have the tables that this program reads.
_KEYS = 4
_AUDIT = 7

app = Commands("Look after the store; the server may be running.\n\nExample: store backup /backups/watchword.db")


@app.command()
def backup(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="The file to make.", show_default=False)],
    without_key: Annotated[
        bool, typer.Option("--without-key", help="Leave the master key out.", show_default=False)
    ] = False,
    config: Config = None,
) -> None:
    """Copy an SQLite store as it is at this moment.

    Its master key is copied to PATH.key.

    Example: store backup /backups/watchword.db
    """
    settings = settings_for(context, config)
    configure_logs(settings.logs)
    key = master_key_path(settings)
    with ExitStack() as stack, progress_bar("copying") as bar:
        content = None
        if key is not None and not without_key and (os.path.lexists(key) or run_async(_needs_key(settings))):
            # The key must not change during the copy, or it would not open the copy.
            stack.enter_context(unchanged(key))
            content = _read(key)
        run_async(back_up(settings.store, path, bar.show, content))
    typer.echo(f"backed up to {path}, checked")
    typer.echo(_about_key(settings, path, without_key=without_key))


async def _needs_key(settings: Settings) -> bool:
    """Whether keys of the store are sealed, so without the master key a copy of it would be of little use."""
    store = sqlite_path(settings.store.url)
    if not store.exists():
        return False
    with opened(store) as reader:
        return any(record.sealed for record in await _keys_of(reader))


def _read(key: Path) -> bytes:
    """The bytes of the key file. Raises StoreRefused if it is not a valid key file."""
    try:
        read_keys(key)
        return key.read_bytes()
    except (OSError, StoreRefused) as error:
        raise StoreRefused(f"{error}; or use --without-key") from None


def _about_key(settings: Settings, path: Path, *, without_key: bool) -> str:
    key = master_key_path(settings)
    if key is None:
        return "the master key is in the settings (keys.master_key); keep it too, in another place"
    if not os.path.lexists(key):
        return "this store has no master key yet"
    if without_key:
        return f"the master key is not in it; keep {key} too, in another place"
    return f"the master key is beside it, in {key_beside(path)}: whoever has both can sign tokens"


@app.command()
def restore(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="The file that `store backup` has made.", show_default=False)],
    old: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="The store that was there, moved away: says what is undone.", show_default=False
        ),
    ] = None,
    config: Config = None,
) -> None:
    """Put a backup where `store.url` points.

    No server may run there, and nothing is overwritten.

    Example: store restore /backups/watchword.db --old old/watchword.db
    """
    settings = settings_for(context, config)
    configure_logs(settings.logs)
    if not settings.store.is_sqlite:
        raise StoreRefused(
            "this store is PostgreSQL, which brings its own tool; stop the servers, then: pg_restore --clean "
            f"--if-exists --single-transaction --schema={settings.store.schema_name} --dbname=… FILE; "
            "keys.master_key is that of the dump"
        )
    run_async(_restore(settings, path, old))


async def _restore(settings: Settings, path: Path, old: Path | None) -> None:
    store = sqlite_path(settings.store.url)
    with open_copy(path) as copy:
        about_key, key = await _key_for(settings, path, copy)
        refuse_present(store, beside(store, ".key") if key is None else None)
        lines = await _undone(copy, old)
        if copy.pending:
            lines.append("the next start brings its tables up to date")
        with progress_bar("copying") as bar:
            await restore_copy(path, store, key, bar.show)
    typer.echo(f"restored {path} to {store}, checked")
    typer.echo("\n".join([about_key, *lines]))


async def _key_for(settings: Settings, path: Path, copy: CopyReader) -> tuple[str, bytes | None]:
    """What to say about the master key that opens the copy, and the file to put beside it, if it needs one."""
    records = await _keys_of(copy)
    beside_store = master_key_path(settings)
    if beside_store is None:
        _require_opens(texts(settings.keys.master_key), records, "keys.master_key")
        return "the master key is in the settings (keys.master_key)", None
    if os.path.lexists(beside_store):
        # It has stayed where it is. A wrong one has to be moved away with the store.
        try:
            _require_opens(read_keys(beside_store), records, beside_store)
        except StoreRefused:
            if not os.path.lexists(key_beside(path)):
                raise
        else:
            return f"the master key was there already, in {beside_store}", None
    if not os.path.lexists(key_beside(path)):
        if _has(copy, _KEYS) and not any(record.sealed for record in records):
            return "this store has no master key yet", None
        raise StoreRefused(
            f"{key_beside(path)} is missing, the master key of this backup; put it there, or to {beside_store}, "
            "with mode 0600; or set keys.master_key to it"
        )
    _require_opens(read_keys(key_beside(path)), records, key_beside(path))
    return f"the master key is beside it, in {beside_store}", key_beside(path).read_bytes()


async def _keys_of(copy: CopyReader) -> Sequence[KeyRecord]:
    """The keys of the copy; none if it is older than their table. Then the next start finds out whether they open."""
    reader: Any = copy
    return await KeyRepository(reader, AuditRepository(reader)).list_keys() if _has(copy, _KEYS) else []


def _has(copy: CopyReader, version: int) -> bool:
    """Whether this migration was applied to the copy."""
    return all(migration.version > version for migration in copy.pending)


def _require_opens(secrets: Sequence[str], records: Sequence[KeyRecord], name: str | Path) -> None:
    refusal = f"{name} does not open this backup; use the master key that it was made with"
    MasterKey(secrets, Ids(SystemClock(), SystemRandomness())).require_opens(records, refusal)


async def _undone(copy: CopyReader, old: Path | None) -> list[str]:
    """Lines that say of what time the copy is, and what has happened since."""
    last = await _last_record(copy) if _has(copy, _AUDIT) else None
    if last is None:
        lines = ["its audit log has no record, so it does not say of what time it is"]
    else:
        lines = [f"it is the store of {rfc3339(last.at)}: record {last.seq} of its audit log, head {last.hash}"]
    lines.append(
        "undone is what came later: sessions that have ended since are valid again, users who were disabled since are "
        "enabled, and passwords and roles are the earlier ones"
    )
    if old is not None:
        try:
            with open_moved_away(old) as reader:
                lines.append(await _since(reader, last, old))
        except sqlite3.Error as error:
            lines.append(f"{old} can't be read ({error}), so it does not say what is undone")
    return lines


async def _last_record(reader: Any) -> AuditRecord | None:
    audit = AuditRepository(reader)
    head = await audit.head()
    records = await audit.records_from(head.seq, 1) if head is not None else []
    return records[0] if records else None


async def _since(reader: Any, last: AuditRecord | None, old: Path) -> str:
    """A line with the number of records of each kind in the store that was moved away, after those of the copy."""
    audit = AuditRepository(reader)
    seq = 0
    if last is not None:
        seq = last.seq
        if await audit.records_from(seq, 1) != [last]:
            return f"{old} is another store or an older one: record {seq} of the backup's audit log is not in it"
    found: Counter[str] = Counter()
    while page := await audit.records_from(seq + 1, PAGE):
        found.update(record.event for record in page)
        seq = page[-1].seq
    kinds = ", ".join(f"{event} {count}" for event, count in found.most_common())
    return f"recorded in {old} since then: {kinds or 'nothing'}"
