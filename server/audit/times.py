"""Finds the records of a time, however many they are: by the times of the parts that the log is divided into.

The order of records is that of `seq`, and their times rise with it only as the clock did. So the first record since a
time is not the one with the earliest of these times, and no index finds it. But a full part of the log never changes:
its earliest and its latest time are noted, of small parts and of large ones, and few of them are looked through.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.database.driver import Driver, Transaction
from server.database.inserting import batches, insert_into

# Records in a small part, and small parts in a large one.
RECORDS, PARTS = 1000, 100
_COLUMNS = ("size", "part", "earliest_at", "latest_at")
# The times of a part whose records somebody has taken away.
_NEVER = (2**62, -1)
# By default both databases would copy all parts first, since they are used more than once.
# $1: since when; $2: before when. Where no large part fits, what comes behind the last one may.
_BOUNDS = """
WITH large AS NOT MATERIALIZED (SELECT part, earliest_at, latest_at FROM audit_times WHERE size = {large}),
small AS NOT MATERIALIZED (SELECT part, earliest_at, latest_at FROM audit_times WHERE size = {small}),
ends AS (
    SELECT (SELECT COALESCE(MAX(seq), 0) FROM audit_head) AS reached,
    (SELECT COALESCE(MAX(part), -1) + 1 FROM small) AS noted,
    (SELECT COALESCE(MAX(part), -1) + 1 FROM large) * {parts} AS in_large,
    (SELECT MIN(part) FROM large WHERE latest_at >= $1) * {parts} AS first_large,
    (SELECT MAX(part) FROM large WHERE earliest_at < $2) * {parts} AS last_large
)
SELECT reached, noted,
(
    SELECT part FROM small WHERE part >= COALESCE(first_large, in_large) AND latest_at >= $1 ORDER BY part LIMIT 1
) AS first,
COALESCE(
    (SELECT part FROM small WHERE part >= in_large AND earliest_at < $2 ORDER BY part DESC LIMIT 1),
    (
        SELECT part FROM small WHERE part >= last_large AND part < last_large + {parts} AND earliest_at < $2
        ORDER BY part DESC LIMIT 1
    )
) AS last
FROM ends
"""
_ENDS = (
    "SELECT (SELECT COALESCE(MAX(seq), 0) FROM audit_head) AS reached, "
    "(SELECT COALESCE(MAX(part), -1) + 1 FROM audit_times WHERE size = {small}) AS noted"
)
_TIMES = (
    "SELECT (seq - 1) / {small} AS part, MIN(at) AS earliest_at, MAX(at) AS latest_at FROM audit_events "
    "WHERE seq > $1 AND seq <= $2 GROUP BY (seq - 1) / {small}"
)
_NOTE_LARGE = (
    "INSERT INTO audit_times (size, part, earliest_at, latest_at) "
    "SELECT {large}, part / {parts}, MIN(earliest_at), MAX(latest_at) FROM audit_times "
    "WHERE size = {small} AND part >= $1 AND part < $1 + {parts} GROUP BY part / {parts} ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of the records up to `noted`, all of a time have a `seq` from `first` to `last`. The log ends at `reached`."""

    reached: int
    noted: int
    first: int
    last: int


class AuditTimes:
    """Notes and looks up the times of parts."""

    def __init__(self, driver: Driver, records: int = RECORDS, parts: int = PARTS) -> None:
        self._driver = driver
        self._records = records
        self._parts = parts
        sizes = {"small": records, "large": records * parts, "parts": parts}
        self._bounds, self._ends, self._times, self._note_large = (
            sql.format(**sizes) for sql in (_BOUNDS, _ENDS, _TIMES, _NOTE_LARGE)
        )

    async def bounds(self, from_at: int | None, to_at: int | None) -> Bounds:
        """Where the records of these times are: `to_at` does not belong to them (epoch ms). None is no bound."""
        (row,) = await self._driver.read(self._bounds, from_at or 0, to_at or 0)
        noted = row["noted"] * self._records
        first, last = 1, noted
        if from_at is not None:
            first = noted + 1 if row["first"] is None else row["first"] * self._records + 1
        if to_at is not None:
            last = 0 if row["last"] is None else (row["last"] + 1) * self._records
        return Bounds(row["reached"], noted, first, last)

    async def note(self, limit: int) -> int:
        """Note the next full parts, at most `limit`. Returns how many.

        Other nodes may do the same. Whoever writes a record holds the head of the log until the commit, so all records
        before it are there.
        """
        (row,) = await self._driver.read(self._ends)
        begin: int = row["noted"]
        end: int = min(row["reached"] // self._records, begin + limit)
        if end <= begin:
            return 0
        rows = await self._driver.read(self._times, begin * self._records, end * self._records)
        found = {row["part"]: (row["earliest_at"], row["latest_at"]) for row in rows}
        times = [(self._records, part, *found.get(part, _NEVER)) for part in range(begin, end)]

        async def unit(transaction: Transaction) -> None:
            for part in batches(times):
                insert = f"{insert_into('audit_times', _COLUMNS, len(part))} ON CONFLICT DO NOTHING"
                await transaction.run(insert, *(value for row in part for value in row))
            for large in range(begin // self._parts, end // self._parts):
                await transaction.run(self._note_large, large * self._parts)

        await self._driver.write(unit)
        return end - begin
