"""Whether a store was moved to another place (`store move`). Then it can be read, and takes no writes.

Triggers on its tables refuse the writes, whatever program makes them. Each driver has a module `closing.py`, which
makes and removes them. A store that was not moved has no such triggers, so its writes cost nothing more.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from server.core.clock import rfc3339
from server.core.errors import StoreRefused

# Tables that are not moved, and why. Moved stores take writes to them.
NOT_MOVED = {
    "schema_migrations": "each store has its own",
    "store_state": "it says whether a store was moved",
    "nodes": "it says which servers run on this store",
    "places": "numbers, which the migration makes",
}
# The same for columns.
NOT_MOVED_COLUMNS = {
    ("users", "number"): "a row of the index, which a trigger gives",
    ("revocations", "made_by"): "a transaction of one PostgreSQL server",
}

# SQLite gives the message of a trigger as the error, so it is what the error is known by.
TRIGGER_MARK = "watchword: "
_NAME = re.compile("[a-z][a-z0-9_]*")
BEING_MOVED = "this store is being moved, and takes no writes meanwhile"


def is_written(table: str) -> bool:
    """Whether a table is moved, and closed afterwards. A name that none of ours could have is of somebody else."""
    return table not in NOT_MOVED and _NAME.fullmatch(table) is not None


class StoreState(NamedTuple):
    """The row of `store_state`. `changed_at` is in epoch milliseconds."""

    state: str
    move_id: str
    place: str
    changed_at: int

    @property
    def is_moved(self) -> bool:
        """Whether the data is at `place` now, and this store takes no writes."""
        return self.state == "moved"

    @property
    def reason(self) -> str:
        """Why it takes no writes."""
        return f"this store was moved to {self.place} at {rfc3339(self.changed_at)}"


STATE_COLUMNS = ", ".join(StoreState._fields)


def refuse_moved(found: StoreState | None) -> None:
    """Raise StoreRefused if the store was moved: a server must not start on it."""
    if found is not None and found.is_moved:
        raise StoreRefused(
            f"{found.reason}; set store.url to that one; `store reopen` takes this one into use again, as it was then"
        )
