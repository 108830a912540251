"""The columns of AuditRecord in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from server.audit.model import AuditRecord
from server.database.driver import Row

FIELDS = [field.name for field in fields(AuditRecord)]
# Two have another name in the table, since their names are keywords of SQL.
_NAMES = {"before": "before_change", "after": "after_change"}
COLUMNS = [_NAMES.get(name, name) for name in FIELDS]
RECORD = ", ".join(f'{column} AS "{name}"' for column, name in zip(COLUMNS, FIELDS, strict=True))


def records_of(rows: Sequence[Row]) -> list[AuditRecord]:
    """Records from rows that have the columns of RECORD."""
    return [AuditRecord(**row) for row in rows]
