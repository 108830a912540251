"""INSERT statements of one row or several, once for both databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")

# More rows would need fewer round trips, but SQLite compares each placeholder with all before it.
_ROWS_IN_A_STATEMENT = 50


def insert_into(table: str, columns: Sequence[str], rows: int = 1) -> str:
    """The INSERT of so many rows into these columns. Its parameters are the values, row by row."""
    width = len(columns)
    places = [", ".join(f"${row * width + column}" for column in range(1, width + 1)) for row in range(rows)]
    values = ", ".join(f"({row})" for row in places)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values}"  # noqa: S608 - our names


def batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """The items in parts, as many as one INSERT should have."""
    for start in range(0, len(items), _ROWS_IN_A_STATEMENT):
        yield items[start : start + _ROWS_IN_A_STATEMENT]
