"""What was added to a table since somebody read it last.

Transactions do not commit in the order of their numbers. So the cursor is a snapshot, and what it had not seen is new.
The numbers of one server mean nothing to another, as to a standby that took over. So the cursor also says which server,
which of its sessions and which table it is from (`place`); with any other, all rows are read.
A restored dump has numbers of another server. Those that are ahead of ours are read with all, not each time again.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import asyncpg

from server.database.driver import Added, Row

_HERE = (
    "(SELECT concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()), pg_backend_pid(), "
    "pg_relation_filenode('{table}')) AS place, pg_current_snapshot() AS now) AS here"
)
_SINCE = (
    "SELECT concat(place, '|', now) AS cursor, place <> $1 AS elsewhere, seq, {columns} "
    f"FROM {_HERE} LEFT JOIN {{table}} ON place = $1 "
    "AND made_by >= pg_snapshot_xmin(CAST($2 AS TEXT)::pg_snapshot) AND made_by < pg_snapshot_xmax(now) "
    "AND NOT pg_visible_in_snapshot(made_by, CAST($2 AS TEXT)::pg_snapshot) ORDER BY seq"
)
# In pages, so that each is read in time, however many there are.
_PAGE = (
    f"SELECT concat(place, '|', now) AS cursor, seq, {{columns}} FROM {_HERE} LEFT JOIN "
    "(SELECT * FROM {table} WHERE seq > $1 ORDER BY seq LIMIT $2) AS page ON TRUE ORDER BY seq"
)
ROWS_IN_A_PAGE = 20_000

Read = Callable[..., Coroutine[Any, Any, Sequence[Row]]]


async def added_since(read: Read, cursor: str, table: str, columns: str) -> Added:
    """From a snapshot on; all, if it is not from where this is read."""
    place, _, snapshot = cursor.partition("|")
    if snapshot:
        # A cursor that was broken on its way here is none.
        with suppress(asyncpg.DataError):
            rows = await read(_SINCE.format(table=table, columns=columns), place, snapshot)
            if not rows[0]["elsewhere"]:
                return Added(rows[0]["cursor"], whole=False, rows=_there(rows))
    return await _all(read, _PAGE.format(table=table, columns=columns))


def server_of(cursor: str) -> str:
    """What tells the server that a cursor is from: the time of its start."""
    return cursor.partition(" ")[0]


async def _all(read: Read, sql: str) -> Added:
    """What comes while they are read is behind the snapshot of the first page, which is the one to go on from."""
    page = await read(sql, -1, ROWS_IN_A_PAGE)
    cursor, rows = page[0]["cursor"], _there(page)
    while len(page) == ROWS_IN_A_PAGE:
        page = await read(sql, page[-1]["seq"], ROWS_IN_A_PAGE)
        rows += _there(page)
    return Added(cursor, whole=True, rows=rows)


def _there(rows: Sequence[Row]) -> list[Row]:
    """Where nothing was added, there is one row without `seq`."""
    return [row for row in rows if row["seq"] is not None]
