"""Reads the rows that were added to a table since the last read.

Transactions do not commit in the order of their ids. So the cursor is a snapshot of PostgreSQL, and the new rows are
those that this snapshot does not see. Transaction ids of one server mean nothing on another one, such as a standby that
took over. So the cursor also names the server, its session and the table (`place`). If they differ, all rows are read.
Rows of a restored dump may have ids that are ahead of this server. Only the reading of all rows returns those.

All rows are read in pages. Until the last one, the cursor also has the `seq` that was reached. Its snapshot is that of
the first page, so rows that are committed meanwhile are read afterwards.
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
    f"FROM {_HERE} LEFT JOIN (SELECT made_by, seq, {{columns}} FROM {{table}}) AS added ON place = $1 "
    "AND made_by >= pg_snapshot_xmin(CAST($2 AS TEXT)::pg_snapshot) AND made_by < pg_snapshot_xmax(now) "
    "AND NOT pg_visible_in_snapshot(made_by, CAST($2 AS TEXT)::pg_snapshot) ORDER BY seq"
)
# In pages, so that no read reaches its timeout and no request waits for long, however many rows there are.
_PAGE = (
    f"SELECT place, now::text AS now, seq, {{columns}} FROM {_HERE} LEFT JOIN "
    "(SELECT seq, {columns} FROM {table} WHERE seq > $1 ORDER BY seq LIMIT $2) AS page ON TRUE ORDER BY seq"
)
ROWS_IN_A_PAGE = 5000

Read = Callable[..., Coroutine[Any, Any, Sequence[Row]]]


async def added_since(read: Read, cursor: str, table: str, columns: str) -> Added:
    """The rows since the cursor; all rows if the cursor is of another server, session or table."""
    place, _, rest = cursor.partition("|")
    snapshot, _, reached = rest.partition("|")
    # PostgreSQL refuses a cursor that makes no sense to it; then all rows are read.
    with suppress(asyncpg.DataError, ValueError):
        if reached:
            page = await read(_PAGE.format(table=table, columns=columns), int(reached), ROWS_IN_A_PAGE)
            if page[0]["place"] == place:
                return _added(page, f"{place}|{snapshot}", whole=False)
        elif snapshot:
            rows = await read(_SINCE.format(table=table, columns=columns), place, snapshot)
            if not rows[0]["elsewhere"]:
                return Added(rows[0]["cursor"], whole=False, more=False, rows=_there(rows))
    page = await read(_PAGE.format(table=table, columns=columns), -1, ROWS_IN_A_PAGE)
    return _added(page, f"{page[0]['place']}|{page[0]['now']}", whole=True)


def server_of(cursor: str) -> str:
    """The server of a cursor, identified by the time of its start."""
    return cursor.partition(" ")[0]


def _added(page: Sequence[Row], cursor: str, *, whole: bool) -> Added:
    more = len(page) == ROWS_IN_A_PAGE
    return Added(f"{cursor}|{page[-1]['seq']}" if more else cursor, whole, more, _there(page))


def _there(rows: Sequence[Row]) -> list[Row]:
    """Remove the row without `seq`, which the LEFT JOIN returns if there are no new rows."""
    return [row for row in rows if row["seq"] is not None]
