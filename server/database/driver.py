"""What a driver has to offer: the small interface under queries.py."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")


class Row(Protocol):
    """A row that a statement gave back, as sqlite3.Row and asyncpg.Record have it.

    A value is found by the name of its column, as `row["name"]`, so a record is made by `User(**row)`. What is no
    column, as an expression or a subquery, needs an `AS name` for that. Two rows are best compared as tuples: one of
    sqlite3 equals no tuple.
    """

    def keys(self) -> Iterable[str]:
        """The names of the columns, in the order of the statement."""
        ...

    def __getitem__(self, key: str | int | slice, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...

    def __len__(self) -> int: ...


class Transaction(Protocol):
    """Statements inside a unit."""

    async def run(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run one statement with `$1` placeholders; its rows, if it returns any."""
        ...

    async def lock(self, name: str) -> None:
        """Until the unit ends, let no other unit of any node pass the same lock."""
        ...

    async def announce(self) -> None:
        """With the commit, end `wait_for_change` on every node."""
        ...


# What must hold together. It awaits nothing but its transaction, and it can be run again from its start: a database may
# ask for that after a deadlock.
Unit = Callable[[Transaction], Coroutine[Any, Any, Result]]


class Driver(Protocol):
    """A database."""

    async def read(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run a SELECT on what is committed. Raises StoreUnavailable."""
        ...

    async def read_soon(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """The same for what has to be known within a second, however busy the database is with other reads."""
        ...

    async def write(self, unit: Unit[Result]) -> Result:
        """Run a unit in one transaction; when this returns, it is on disk.

        A unit that raises changes nothing, and its exception comes out here. Raises StoreUnavailable.
        """
        ...

    async def write_one(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """A unit of one statement, for less: it holds together by itself. Raises StoreUnavailable."""
        ...

    def require_room(self) -> None:
        """Raise StoreUnavailable if a write found the disk full a moment ago: a small one may fit all the same."""
        ...

    def in_list(self, column: str) -> str:
        """The condition that `column` is one of the values in `$1`."""
        ...

    def list_value(self, values: Sequence[str]) -> Any:
        """The parameter that goes with `in_list`."""
        ...

    def locking(self, select: str) -> str:
        """The same SELECT, inside a unit: it locks each row as it comes to it, until the unit ends."""
        ...

    def users_with_grams(self, place: str) -> str:
        """What stands behind FROM, up to a condition: the users whose `search_text` has all the grams at that place."""
        ...

    def grams_value(self, grams: Sequence[str]) -> Any:
        """The parameter that goes with `users_with_grams`."""
        ...

    async def revocations_since(self, cursor: str) -> Sequence[Row]:
        """What was committed behind the cursor, "0" at first: rows of the next `cursor`, `whole`, and of Revocation.

        Whole: these are all that there are. So it is for "0", and for a cursor of another server or of another table.
        The cursor to go on from is that of the first row. Where there is no revocation, there is one row, and all
        behind `whole` is None.
        """
        ...

    async def wait_for_change(self, timeout_seconds: float) -> None:
        """Return when any process may have written something that was announced, or at the timeout."""
        ...

    async def close(self) -> None:
        """Finish what is under way and let go. May be called twice."""
        ...
