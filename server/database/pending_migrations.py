"""Which migrations a store still needs, and whether this program may use the store at all.

A store that a newer program has migrated is used as long as none of the newer migrations needs a newer program. So a
node of the previous version can be started again during an upgrade, and after one that is taken back. A store whose
applied migrations differ from the files of this program is refused. sqlite/file.py, sqlite/migrate.py and
postgres/schema.py read the applied migrations and run new ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from server.core.errors import StoreRefused
from server.database.migration_files import Migration


class Applied(NamedTuple):
    """A row of `schema_migrations`. A program has to know the migration `needs` to use the store after this one.

    Stores that are older than the column have no `needs`, which means 0.
    """

    version: int
    name: str
    sha256: str
    needs: int = 0


def pending(known: Sequence[Migration], applied: Sequence[Applied], place: str) -> list[Migration]:
    """The migrations to run, in order. Raises StoreRefused, whose message calls the store `place`.

    `applied` has to be sorted by version.
    """
    latest_known = known[-1].version
    if max((row.needs for row in applied), default=0) > latest_known:
        raise newer(place, applied[-1].version, latest_known)
    for migration, row in zip(known, applied, strict=False):
        if (migration.version, migration.sha256) != (row.version, row.sha256):
            raise StoreRefused(
                f"{place} was made by another edition of migration {row.name}; use the program that made it, "
                "or restore a backup"
            )
    return list(known[len(applied) :])


def nodes_that_stop(wanted: Sequence[Migration]) -> int:
    """Nodes that know no migration as late as this one have to stop before these migrations. 0: all may go on."""
    latest_applied = wanted[0].version - 1
    return max((migration.needs for migration in wanted if migration.needs > latest_applied), default=0)


def is_missing(wanted: Sequence[Migration]) -> bool:
    """Whether there is no store yet: even its first migration is pending."""
    return bool(wanted) and wanted[0].version == 1


def newer(place: str, found: int, known: int) -> StoreRefused:
    """The error for a store that a newer program has migrated, in a way that needs a newer program."""
    return StoreRefused(
        f"{place} is at migration {found}, newer than this program, which knows {known}; "
        "upgrade the program, or restore a backup"
    )


def not_migrated(place: str, wanted: Sequence[Migration]) -> StoreRefused:
    """The error for a program that must not migrate, on a store that is missing or needs migrations."""
    if is_missing(wanted):
        return StoreRefused(
            f"there is no store in {place}; run this where the server runs, or give --config or store.url; "
            "`serve` and `migrate` make one"
        )
    names = ", ".join(migration.name for migration in wanted)
    return StoreRefused(f"{place} needs migrations first ({names}); run: python -m server migrate")
