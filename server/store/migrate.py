"""Which migrations a store still needs, and which stores must not be touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.errors import StoreRefused
from server.store.migrations import Migration

# The same text for both dialects; in PostgreSQL it lives in our own schema.
CREATE_TABLE = """
CREATE TABLE schema_migrations (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    applied_at BIGINT NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Applied:
    """A row of schema_migrations."""

    version: int
    name: str
    sha256: str


def pending(known: Sequence[Migration], applied: Sequence[Applied]) -> list[Migration]:
    """The migrations to apply, in order. Raises StoreRefused for a store that this program does not fit."""
    by_version = {migration.version: migration for migration in known}
    for row in applied:
        migration = by_version.get(row.version)
        if migration is None:
            raise StoreRefused(
                f"the store is newer than this program (it has migration {row.name}); "
                "run the version that made it, or a later one"
            )
        if migration.sha256 != row.sha256:
            raise StoreRefused(
                f"migration {row.name} of the store is not the one of this program; run a released version of Watchword"
            )
    done = {row.version for row in applied}
    return [migration for migration in known if migration.version not in done]
