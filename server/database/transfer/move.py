"""Copies everything from a source to a target, compares both, and closes the source (see ends.py)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from server.core.errors import StoreRefused, StoreUnavailable, WatchwordError
from server.database.store_state import StoreState
from server.database.transfer.ends import Source, Store, Target
from server.database.transfer.table import Digest, Table, tables_to_move

# Called with the number of rows that were read or written since the last call.
Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class MovedTable:
    """What a table has in both stores."""

    name: str
    rows: int
    checksum: str


async def read_all(store: Store, advance: Advance) -> list[MovedTable]:
    """Read every row once, as a move does: for how long that takes, and whether everything can be read."""
    tables = await store.tables()
    return [_moved(table, await _digest(store, table, advance)) for table in tables.values()]


async def count_all(store: Store) -> int:
    """The number of all rows."""
    return sum([await store.count(table) for table in (await store.tables()).values()])


async def move(
    source: Source,
    target: Target,
    *,
    move_id: str,
    now: int,
    advance: Advance,
    uninterrupted: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> list[MovedTable]:
    """Copy, compare, close the source. The caller holds the source. The last step is done within `uninterrupted`.

    Raises StoreRefused, StoreUnavailable, FileRefused. Then nothing was moved, and the source is as before; except for
    MoveUnfinished.
    """
    tables = tables_to_move(await source.tables(), await target.tables())
    read = {table.name: await _copy(source, target, table, advance) for table in tables}
    for table in tables:
        written = await _digest(target, table, advance, source)
        if not written.same(read[table.name]):
            raise StoreRefused(
                f"the table {table.name} is not the same in both stores ({read[table.name].count} rows read, "
                f"{written.count} written), so nothing was moved; please report this"
            )
    await target.prepare(StoreState("arrived", move_id, source.place, now))
    with uninterrupted():
        await _switch(source, target, StoreState("moved", move_id, target.place, now))
    return [_moved(table, read[table.name]) for table in tables]


async def _copy(source: Source, target: Target, table: Table, advance: Advance) -> Digest:
    digest = Digest()
    async for rows in source.rows(table):
        digest.add(rows)
        await target.write(table, rows)
        advance(len(rows))
    if table.counts_up:
        await target.set_counter(table, await source.counter(table))
    return digest


async def _digest(store: Store, table: Table, advance: Advance, source: Source | None = None) -> Digest:
    digest = Digest()
    async for rows in store.rows(table):
        digest.add(rows)
        advance(len(rows))
        if source is not None:
            await source.alive()
    return digest


class MoveUnfinished(WatchwordError):
    """The source is closed, and nobody knows whether the target is complete. The same command again finds out."""

    def __init__(self) -> None:
        super().__init__(
            "the connection to the new store was lost at the last step, so nobody knows whether it is complete; run "
            "the same command again, which finds out; until then this store takes no writes"
        )


async def _switch(source: Source, target: Target, moved: StoreState) -> None:
    """Close the source, then finish the target."""
    await source.close(moved)
    try:
        await target.finish()
    except StoreUnavailable as error:
        raise MoveUnfinished from error
    except BaseException:
        await source.reopen()
        raise


def _moved(table: Table, digest: Digest) -> MovedTable:
    return MovedTable(table.name, digest.count, digest.checksum)
