"""Whether the store was moved to another place, so that no server starts on it."""

from __future__ import annotations

from server.database.driver import Driver
from server.database.store_state import STATE_COLUMNS, StoreState
from server.doctor.model import Finding, wrong

TOPIC = "store"
_REMEDY = "set store.url to that one; `store reopen` takes this one into use again, as it was then"


async def moved(driver: Driver) -> list[Finding]:
    """Nothing if it was not. Raises StoreUnavailable."""
    rows = await driver.read(f"SELECT {STATE_COLUMNS} FROM store_state")  # noqa: S608 - our names
    states = [StoreState(**row) for row in rows]
    return [wrong(TOPIC, state.reason, _REMEDY) for state in states if state.is_moved]
