"""Reads the rows that were added to a table since the last read.

Transactions do not commit in the order of their ids. So the cursor is a snapshot of PostgreSQL, and the new rows are
those that this snapshot does not see. Transaction ids of one server mean nothing on another one, such as a standby that
took over. So the cursor also names the server, its session and the table (`place`). If they differ, all rows are read.
Rows of a restored dump may have ids that are ahead of this server. Only the reading of all rows returns those.

All rows are read in pages. Until the last one, the cursor also has the `seq` that was reached. Its snapshot is that of
the first page, so rows that are committed meanwhile are read afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

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
    f"SELECT place, now::text AS now, last, found, texts, packed FROM {_HERE}, "
    "(SELECT MAX(seq) AS last, COUNT(*) AS found, COUNT(packed) AS texts, "
    "COALESCE(string_agg(packed, ''), '') AS packed "
    "FROM (SELECT seq, {packed} AS packed FROM {table} WHERE seq > $1 ORDER BY seq LIMIT $2) AS next) AS page"
)
_NOT_PACKED = "SELECT seq, {columns} FROM {table} WHERE seq > $1 AND seq <= $2 AND {packed} IS NULL ORDER BY seq"
ROWS_IN_A_PAGE = 5000

Read = Callable[..., Coroutine[Any, Any, Sequence[Row]]]


async def added_since(read: Read, cursor: str, words: Mapping[str, str]) -> Added:
    """The rows since the cursor; all rows if the cursor is of another server, session or table.

    `words` are the other arguments of Driver.added_since.
    """
    place, _, rest = cursor.partition("|")
    snapshot, _, reached = rest.partition("|")
    # PostgreSQL refuses a cursor that makes no sense to it; then all rows are read.
    with suppress(asyncpg.DataError, ValueError):
        if reached:
            page = await _page(read, int(reached), words)
            if page.place == place:
                return page.added(snapshot, whole=False)
        elif snapshot:
            rows = await read(_SINCE.format(**words), place, snapshot)
            if not rows[0]["elsewhere"]:
                # The LEFT JOIN returns a row without `seq` if there are no new rows.
                there = [row for row in rows if row["seq"] is not None]
                return Added(rows[0]["cursor"], whole=False, more=False, packed="", rows=there)
    page = await _page(read, -1, words)
    return page.added(page.now, whole=True)


class _Page(NamedTuple):
    """A part of all rows, and where and when it was read."""

    place: str
    now: str
    last: int | None
    found: int
    packed: str
    others: Sequence[Row]

    def added(self, snapshot: str, *, whole: bool) -> Added:
        """`snapshot` is that of the first page."""
        more = self.found == ROWS_IN_A_PAGE
        cursor = f"{self.place}|{snapshot}"
        return Added(f"{cursor}|{self.last}" if more else cursor, whole, more, self.packed, self.others)


async def _page(read: Read, after: int, words: Mapping[str, str]) -> _Page:
    (page,) = await read(_PAGE.format(**words), after, ROWS_IN_A_PAGE)
    others: Sequence[Row] = []
    if page["texts"] < page["found"]:
        others = await read(_NOT_PACKED.format(**words), after, page["last"])
    return _Page(page["place"], page["now"], page["last"], page["found"], page["packed"], others)


def server_of(cursor: str) -> str:
    """The server of a cursor, identified by the time of its start."""
    return cursor.partition(" ")[0]
