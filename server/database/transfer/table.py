"""The tables that are moved, as the databases describe them: there is no second list of tables and columns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

import orjson

from server.core.errors import StoreRefused
from server.database.store_state import NOT_MOVED_COLUMNS

# Rows that are read and written at a time, which bounds the memory.
ROWS = 2000

Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns, the columns of its primary key, the tables it refers to, and whether it counts up.

    A table that counts up has a number that is never used again, even if its row was deleted.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    refers_to: frozenset[str] = frozenset()
    counts_up: bool = False

    @property
    def moved_columns(self) -> tuple[str, ...]:
        """The columns that both databases have."""
        return tuple(column for column in self.columns if (self.name, column) not in NOT_MOVED_COLUMNS)


def refuse_newer(place: str, found: int, known: int) -> None:
    """Raise StoreRefused if the store has migrations that this program does not know."""
    if found > known:
        raise StoreRefused(
            f"{place} is at migration {found}, newer than this program, which knows {known}; move it with the newer one"
        )


def tables_to_move(source: Mapping[str, Table], target: Mapping[str, Table]) -> list[Table]:
    """The tables of the target in the order in which they can be filled. Raises StoreRefused if the source differs."""
    for name, table in target.items():
        found = source.get(name)
        if found is None:
            raise StoreRefused(f"the table {name} is missing in the store; restore a backup")
        if set(found.moved_columns) != set(table.moved_columns) or found.key != table.key:
            raise StoreRefused(f"the table {name} of the store was changed by hand; change it back, then move")
    return in_order(target.values())


def in_order(tables: Iterable[Table]) -> list[Table]:
    """A table comes after those that it refers to; else they are in the order of their names."""
    by_name = {table.name: table for table in sorted(tables, key=lambda table: table.name)}
    sorter = TopologicalSorter(
        {name: sorted(table.refers_to & by_name.keys() - {name}) for name, table in by_name.items()}
    )
    sorter.prepare()
    order: list[Table] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += [by_name[name] for name in ready]
        sorter.done(*ready)
    return order


class Digest:
    """The number of rows, and a checksum of their values in the order of the primary key."""

    def __init__(self) -> None:
        self.count = 0
        self._sha256 = hashlib.sha256()

    def add(self, rows: Rows) -> None:
        """Add rows. Integers, texts, bytes and NULL of both databases give the same JSON."""
        self.count += len(rows)
        self._sha256.update(b"".join([orjson.dumps(tuple(row), _plain, orjson.OPT_APPEND_NEWLINE) for row in rows]))

    @property
    def checksum(self) -> str:
        """In hexadecimal."""
        return self._sha256.hexdigest()

    def same(self, other: Digest) -> bool:
        """Whether both have the same rows."""
        return (self.count, self.checksum) == (other.count, other.checksum)


def _plain(value: object) -> dict[str, str]:
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    raise TypeError(type(value).__name__)
