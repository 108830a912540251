"""Whether the tables of a store are those of this program."""

from __future__ import annotations

from collections.abc import Sequence

from server.database.migration_files import Migration
from server.database.pending_migrations import is_missing, nodes_that_stop
from server.doctor.model import Finding, ok, warning


def schema(topic: str, about: str, wanted: Sequence[Migration]) -> Finding:
    """Ok if no migration is pending; `about` says which store it is."""
    if not wanted:
        return ok(topic, f"{about}: its tables are up to date")
    if is_missing(wanted):
        text = f"{about}: there is no store yet"
        return warning(topic, text, "`serve` makes one; or run this where the server runs, or give --config")
    names = ", ".join(migration.name for migration in wanted)
    stops = nodes_that_stop(wanted)
    beside = f"; first stop servers that do not know migration {stops}" if stops else ""
    return warning(
        topic, f"{about}: it needs {names}", f"`serve` applies that at its start, and `migrate` at once{beside}"
    )
