"""Which migrations a store still needs, and whether this program may use the store at all.

A store that a newer program has migrated is refused, and so is a store whose applied migrations differ from the files
of this program. sqlite/file.py, sqlite/migrate.py and postgres/schema.py read the applied migrations and run new ones.
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
    """The migrations to run, in order. Raises StoreRefused, whose message calls the store `place`.

    `applied` has to be sorted by version.
    """
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
    """The error for a store that a newer program has migrated."""
    return StoreRefused(
        f"{place} is at migration {found}, newer than this program, which knows {known}; "
        "upgrade the program, or restore a backup"
    )
