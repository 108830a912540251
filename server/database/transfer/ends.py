"""The two ends of a move. sqlite_*.py and postgres_*.py have them for each database.

A move has one moment that decides: the source is closed for good when all that was copied is in the target, compared,
and needs only its last step. Before it, whatever happens leaves the source as it was and the target empty. After it,
the source takes no writes until the target has them all; if that last step fails, the source is opened again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from server.database.store_state import StoreState
from server.database.transfer.table import Rows, Table


class Store(Protocol):
    """What can be read of either end."""

    async def tables(self) -> dict[str, Table]:
        """The tables that are moved."""
        ...

    async def count(self, table: Table) -> int:
        """The number of its rows."""
        ...

    def rows(self, table: Table) -> AsyncIterator[Rows]:
        """All rows in chunks, in the order of the primary key."""
        ...

    async def counter(self, table: Table) -> int:
        """The last number that a table that counts up has given."""
        ...


class Source(Store, Protocol):
    """The store that is moved. It is open for reading at one moment."""

    # A path, or a URL without its password.
    place: str
    # A number that only this source has locked in its database, so a target there sees that it is the same one.
    nonce: int | None

    async def state(self) -> StoreState | None:
        """Whether it was moved already."""
        ...

    def reading(self) -> AbstractAsyncContextManager[None]:
        """Read what is there at one moment, while others write."""
        ...

    def held(self) -> AbstractAsyncContextManager[None]:
        """Let nobody write during the block, and afterwards if `close` was called. Raises StoreRefused."""
        ...

    async def alive(self) -> None:
        """Raise StoreUnavailable if the hold was lost, so that others may write again."""
        ...

    async def close(self, moved: StoreState) -> None:
        """Write down that it was moved: from now on it takes no writes."""
        ...

    async def reopen(self) -> None:
        """Take `close` back."""
        ...


class Target(Store, Protocol):
    """The store that is made. Nothing of it is there for others before `finish`."""

    place: str

    async def write(self, table: Table, rows: Rows) -> None:
        """Add rows."""
        ...

    async def set_counter(self, table: Table, value: int) -> None:
        """Let the table count on from this number."""
        ...

    async def prepare(self, arrived: StoreState) -> None:
        """Do all that can fail."""
        ...

    async def finish(self) -> None:
        """The last step. Raises StoreUnavailable if nobody knows whether it was done; else it was not done."""
        ...
