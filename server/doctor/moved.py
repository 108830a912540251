"""Whether the store was moved to another place, so that no server starts on it."""

from __future__ import annotations

from server.core.errors import StoreRefused
from server.database.driver import Driver
from server.database.store_state import STATE_COLUMNS, StoreState, refuse_moved
from server.doctor.model import Finding, refused

TOPIC = "store"


async def moved(driver: Driver) -> list[Finding]:
    """Nothing if it was not. Raises StoreUnavailable."""
    try:
        for row in await driver.read(f"SELECT {STATE_COLUMNS} FROM store_state"):  # noqa: S608 - our names
            refuse_moved(StoreState(**row))
    except StoreRefused as error:
        return [refused(TOPIC, error)]
    return []
