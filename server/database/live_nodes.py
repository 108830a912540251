"""The servers on one database, as a migration sees them. server/nodes/ keeps their table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from server.core.errors import StoreRefused
from server.database.migration_files import Migration

# A server that was not seen for so long is taken for gone.
GONE_MS = 60_000


class LiveNode(NamedTuple):
    """A server that was seen a moment ago, and the newest migration that its program knows."""

    hostname: str
    pid: int
    version: str
    latest_migration: int

    def __str__(self) -> str:
        return f"{self.hostname} (pid {self.pid}, version {self.version}, knows migration {self.latest_migration})"


def require_known(migration: Migration, nodes: Sequence[LiveNode]) -> None:
    """Raise StoreRefused if one of the servers can't go on beside this migration."""
    older = [node for node in nodes if node.latest_migration < migration.needs]
    if older:
        raise StoreRefused(
            f"migration {migration.name} waits until all servers know migration {migration.needs}; still running: "
            f"{', '.join(map(str, older))}; stop them, or upgrade them to a version in between (a server that was "
            f"killed counts for {GONE_MS // 1000} s)"
        )
