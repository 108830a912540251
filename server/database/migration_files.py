"""Reads the SQL files that make and change the tables. They are numbered, and both folders have the same numbers.

In a checkout they are in `migrations/` at the top. A wheel has them beside this file, since a wheel must not install a
top-level folder with such a general name.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

_INSTALLED = Path(__file__).parent / "migrations"
_CHECKOUT = Path(__file__).parents[2] / "migrations"


@dataclass(frozen=True, slots=True)
class Migration:
    """A file of SQL. A released file never changes, so its digest shows whether store and program agree."""

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """The digest of the SQL (hexadecimal), which the store keeps in `schema_migrations`."""
        return hashlib.sha256(self.sql.encode("utf-8")).hexdigest()


def migrations(dialect: str) -> list[Migration]:
    """All migrations of `sqlite` or `postgres`, in order."""
    folder = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
    return [
        Migration(int(path.stem.partition("_")[0]), path.stem, path.read_text("utf-8"))
        for path in sorted((folder / dialect).glob("[0-9]*.sql"))
    ]
