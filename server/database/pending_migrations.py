"""Which migrations a store still needs, and whether this program may touch it at all.

Forward only: a store that a newer program has changed is refused, and so is one whose history differs from the files of
this program. How the history is read and how a migration is run is in
sqlite/file.py and sqlite/migrate.py, and in postgres/schema.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from server.core.errors import StoreRefused
from server.database.migration_files import Migration


class Applied(NamedTuple):
    """A row of `schema_migrations`."""

    version: int
    name: str
    sha256: str


def pending(known: Sequence[Migration], applied: Sequence[Applied], place: str) -> list[Migration]:
    """The migrations to run, in order. `applied` comes in the order of versions. Raises StoreRefused."""
    latest_known = known[-1].version
    if applied and applied[-1].version > latest_known:
        raise newer(place, applied[-1].version, latest_known)
    for migration, row in zip(known, applied, strict=False):
        if (migration.version, migration.sha256) != (row.version, row.sha256):
            raise StoreRefused(
                f"{place} was made by another edition of migration {row.name}; use the program that made it, "
                "or restore a backup"
            )
    return list(known[len(applied) :])


def newer(place: str, found: int, known: int) -> StoreRefused:
    """The refusal of a store that a newer program has changed."""
    return StoreRefused(
        f"{place} is at migration {found}, newer than this program, which knows {known}; "
        "upgrade the program, or restore a backup"
    )
