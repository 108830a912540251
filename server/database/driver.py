"""The seam between the databases: what a driver offers, and all that repositories know of a database.

A driver says nothing of any feature. Another database would need these methods, its own folder of migrations with the
same numbers, its dialect where a feature has SQL for each, and its URL in open.py.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

Result = TypeVar("Result")
Dialect = Literal["sqlite", "postgres"]


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


class Added(NamedTuple):
    """The rows that were added to a table since a cursor, and the cursor from which to read on.

    `whole`: these are all that the table has, whatever the cursor was.
    """

    cursor: str
    whole: bool
    rows: Sequence[Row]


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
    """A database. Statements have `$1` placeholders, and are the same for both where that is possible.

    Where it is not, there is a method here for what several features need, as `in_list`; what one feature needs, it has
    once for each `dialect`.
    """

    @property
    def dialect(self) -> Dialect:
        """Whose SQL is spoken here. The folders of the migrations have the same names."""
        ...

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

    async def added_since(self, cursor: str, table: str, columns: str) -> Added:
        """The rows that were committed to `table` behind the cursor, "0" at first; soon, as by `read_soon`.

        The same row may come twice. It has `seq` and these columns, and others of the driver. The table has to have
        `seq`, which counts up; in SQLite by AUTOINCREMENT. In PostgreSQL it also needs `made_by`, the number of the
        transaction (XID8). What the cursor says is the driver's affair.
        """
        ...

    async def wait_for_change(self, timeout_seconds: float) -> None:
        """Return when any process may have written something that was announced, or at the timeout."""
        ...

    async def close(self) -> None:
        """Finish what is under way and let go. May be called twice."""
        ...
