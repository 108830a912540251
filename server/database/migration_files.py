"""Reads the SQL files that make and change the tables. They are numbered, and both folders have the same numbers.

In a checkout they are in `migrations/` at the top. A wheel has them beside this file, since a wheel must not install a
top-level folder with such a general name.

Programs of the previous version go on beside a migration, unless a line in the comment at its head says otherwise:

    -- contract: needs migration 12
    -- outside a transaction

The first line says that a program has to know migration 12 to go on beside this one. The second is for statements that
PostgreSQL runs in no transaction, such as CREATE INDEX CONCURRENTLY. CONTRIBUTING.md says when to use them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

_INSTALLED = Path(__file__).parent / "migrations"
_CHECKOUT = Path(__file__).parents[2] / "migrations"

# These came before the marks. Some rename or drop what older programs used.
LAST_WITHOUT_MARKS = 9
_OUTSIDE = "-- outside a transaction"
_CONTRACT = re.compile(r"-- contract: needs migration ([0-9]+)")
_MARK = re.compile(r"--\s*(contract|expand|outside)\b", re.IGNORECASE)


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

    @property
    def needs(self) -> int:
        """The migration that a program has to know to go on beside this one. 0: each program of the last versions does.

        Raises ValueError for a mark that can't be read.
        """
        if self.version <= LAST_WITHOUT_MARKS:
            return self.version
        marks = {mark: _CONTRACT.fullmatch(mark) for mark in self._marks()}
        for mark, contract in marks.items():
            if contract is None and mark != _OUTSIDE:
                raise ValueError(f"migration {self.name}: the mark {mark!r} can't be read")
        return max((int(contract[1]) for contract in marks.values() if contract), default=0)

    @property
    def in_transaction(self) -> bool:
        """Whether it is run in one transaction, as all but a few are."""
        return _OUTSIDE not in self._marks()

    def _marks(self) -> Iterator[str]:
        head = takewhile(lambda line: line.startswith("--"), self.sql.splitlines())
        return (line.rstrip() for line in head if _MARK.match(line))

    def record(self, now: int) -> dict[str, int | str]:
        """Its row of `schema_migrations`, without `needs` if that is 0: the column is younger than most migrations."""
        row: dict[str, int | str] = {
            "version": self.version,
            "name": self.name,
            "sha256": self.sha256,
            "applied_at": now,
        }
        is_marked = self.version > LAST_WITHOUT_MARKS and self.needs > 0
        return row | ({"needs": self.needs} if is_marked else {})


def migrations(dialect: str) -> list[Migration]:
    """All migrations of `sqlite` or `postgres`, in order."""
    folder = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
    return [
        Migration(int(path.stem.partition("_")[0]), path.stem, path.read_text("utf-8"))
        for path in sorted((folder / dialect).glob("[0-9]*.sql"))
    ]


def latest_migration(dialect: str) -> int:
    """The number of the newest migration that this program knows."""
    return migrations(dialect)[-1].version
