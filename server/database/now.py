"""The clock of the database: on PostgreSQL all nodes see the same one, however their own ones differ."""

from __future__ import annotations

from collections.abc import Mapping

from server.database.driver import Dialect

# The time when the statement began, in epoch milliseconds.
NOW_MS: Mapping[Dialect, str] = {
    "postgres": "CAST(extract(epoch FROM statement_timestamp()) * 1000 AS BIGINT)",
    "sqlite": "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)",
}
