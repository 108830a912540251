"""What a driver has to offer: the small interface under queries.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

Row = Sequence[Any]
Result = TypeVar("Result")


class Transaction(Protocol):
    """Statements inside a unit."""

    async def run(self, sql: str, *parameters: Any) -> list[Row]:
        """Run one statement with `$1` placeholders; its rows, if it returns any."""
        ...

    async def lock(self, name: str) -> None:
        """Until the unit ends, let no other unit of any node pass the same lock."""
        ...


Unit = Callable[[Transaction], Awaitable[Result]]


class Driver(Protocol):
    """A database."""

    async def read(self, sql: str, *parameters: Any) -> list[Row]:
        """Run a SELECT on what is committed. Raises StoreUnavailable."""
        ...

    async def write(self, unit: Unit[Result]) -> Result:
        """Run a unit in one transaction; when this returns, it is on disk.

        A unit that raises changes nothing, and its exception comes out here. Raises StoreUnavailable.
        """
        ...

    def in_list(self, column: str, values: Sequence[str]) -> tuple[str, Any]:
        """A condition `column is one of $1` in this dialect, and the value of $1."""
        ...

    def is_unique_violation(self, error: Exception) -> bool:
        """Whether a statement failed because a unique value is taken."""
        ...

    async def close(self) -> None:
        """Finish what is under way and let go."""
        ...
