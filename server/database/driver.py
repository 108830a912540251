"""The protocol of a database driver, which is all that repositories know of a database.

A driver knows no feature. Another database would need these methods, its own folder of migrations with the same
numbers, its SQL where a feature has SQL for each dialect, and its URL in open.py.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from server.core.errors import StoreRefused

Result = TypeVar("Result")
Dialect = Literal["sqlite", "postgres"]


class Row(Protocol):
    """A row of a result: the common part of sqlite3.Row and asyncpg.Record.

    A value is read by the name of its column, `row["name"]`, and a record is made by `User(**row)`. An expression needs
    `AS name` for this. To compare two rows, make tuples of them: a sqlite3.Row never equals a tuple.
    """

    def keys(self) -> Iterable[str]:
        """The names of the columns, in the order of the statement."""
        ...

    def __getitem__(self, key: str | int | slice, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...

    def __len__(self) -> int: ...


class Added(NamedTuple):
    """The rows that were added to a table since a cursor, and the cursor for the next call.

    If `whole` is true, all rows of the table are read anew, and these are the first of them. If `more` is true, the
    next call goes on where this one has ended. While all are read, `packed` has most of them in one text.
    """

    cursor: str
    whole: bool
    more: bool
    packed: str
    rows: Sequence[Row]


class Transaction(Protocol):
    """Runs statements inside a transaction."""

    async def run(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run one statement with `$1` placeholders. Returns its rows, none for most writes."""
        ...

    async def lock(self, name: str) -> None:
        """Take the lock of that name until the transaction ends. Only one transaction of all nodes can hold it."""
        ...

    async def announce(self) -> None:
        """Make `wait_for_change` return on every node when this transaction is committed."""
        ...


# A function whose statements run in one transaction. It may await nothing but the transaction's methods, and it must be
# safe to run it again from its start, which happens after a deadlock.
Unit = Callable[[Transaction], Coroutine[Any, Any, Result]]


class Driver(Protocol):
    """A database. Statements have `$1` placeholders, and most are the same for both databases.

    If the SQL differs and several features need it, there is a method here, such as `in_list`. If only one feature
    needs it, the feature has a statement for each `dialect`.
    """

    @property
    def dialect(self) -> Dialect:
        """The dialect of SQL. The folders in `migrations/` have the same names."""
        ...

    async def read(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run a SELECT outside of a transaction. Raises StoreUnavailable."""
        ...

    async def read_soon(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run a SELECT that must end within a second, even if many other reads wait. Raises StoreUnavailable."""
        ...

    async def write(self, unit: Unit[Result]) -> Result:
        """Run `unit` in one transaction, and return its result when the transaction is on disk.

        If `unit` raises, the transaction is rolled back and the exception is raised here. Raises StoreUnavailable.
        """
        ...

    async def write_one(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run one statement as a transaction; this is cheaper than `write`. Raises StoreUnavailable."""
        ...

    def require_room(self) -> None:
        """Raise StoreUnavailable if the disk was full a moment ago, since a small write may succeed on a full disk."""
        ...

    def in_list(self, column: str) -> str:
        """The SQL condition that `column` is one of the values in `$1`, which is made by `list_value`."""
        ...

    def list_value(self, values: Sequence[str]) -> Any:
        """The parameter `$1` for `in_list`."""
        ...

    def locking(self, select: str) -> str:
        """The same SELECT for use in a transaction: it locks the rows it returns until the transaction ends."""
        ...

    async def added_since(self, cursor: str, table: str, columns: str, packed: str) -> Added:
        """The rows that were committed to `table` since the cursor, as fast as `read_soon`. The first cursor is "0".

        A row may be returned twice. It has `seq`, the given columns, and perhaps others. All rows of the table may be
        very many: they are returned in parts, most of them packed. `packed` is SQL that makes a text of a row, or NULL;
        these texts are joined, and rows without one are returned as others are. The table needs a column `seq` that
        counts up (AUTOINCREMENT in SQLite). In PostgreSQL it also needs `made_by`, the id of the transaction (XID8).
        Only the driver understands the cursor.
        """
        ...

    async def wait_for_change(self, timeout_seconds: float) -> None:
        """Return when any process may have committed a transaction that called `announce`, or after the timeout."""
        ...

    async def check_rest(self) -> None:
        """Check what the start has left unchecked, and return. One process of a server does it; it may be cancelled."""
        ...

    async def refusal_of_damage(self) -> StoreRefused | None:
        """Why a start that could not read something must be refused. Only if errors tell of damage it is looked for."""
        ...

    def held_descriptors(self) -> Sequence[int]:
        """What keeps other servers from the database: as long as a process has these open, they are refused."""
        ...

    async def close(self) -> None:
        """Finish running transactions and close all connections. May be called twice."""
        ...
