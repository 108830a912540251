"""Finds records by a filter, the newest first. Each way to find some reads an index, and only as far as needed.

The order is always that of `seq`. Times are first turned into the range of `seq` in which all records of that time are
(times.py). It is wider than they, so each record is still compared. All indexes are in the order of `seq`, so with a
range each of them is read only there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from server.audit.model import AuditEvent, AuditFilter, AuditRecord
from server.audit.rows import RECORD, records_of
from server.audit.times import AuditTimes
from server.core.text import storable
from server.database.driver import Driver

_SIGN_INS = (AuditEvent.LOGIN_SUCCEEDED.value, AuditEvent.LOGIN_FAILED.value)
# SQLite does not know which values are frequent, and would read all records of an event to find the few of a user. The
# CAST keeps it from the index of events; PostgreSQL knows better, and does not notice it.
_EVENT = "CAST(event AS TEXT)"
# Of the records whose times are not noted.
_LOOKED_THROUGH = 10_000
_SEARCHED_TOGETHER = 100_000


class AuditSearch:
    """Finds records, and counts sign-ins."""

    def __init__(self, driver: Driver, times: AuditTimes) -> None:
        self._driver = driver
        self._times = times

    async def find(self, wanted: AuditFilter) -> list[AuditRecord]:
        """At most `limit` records that match."""
        if wanted.from_at is not None or wanted.to_at is not None:
            first, last = await self._range(wanted)
            if first > last:
                return []
            before_seq = min(last + 1, wanted.before_seq or last + 1)
            wanted = replace(wanted, from_seq=max(first, wanted.from_seq or first), before_seq=before_seq)
        query = _Query(wanted)
        if not all(storable(value) == value for value in query.values if isinstance(value, str)):
            # No record has a text that can't be stored, and PostgreSQL would refuse it.
            return []
        return records_of(await self._driver.read(query.sql, *query.values))

    async def _range(self, wanted: AuditFilter) -> tuple[int, int]:
        """The range of `seq` in which all records of these times are; the first is above the last if there is none."""
        bounds = await self._times.bounds(wanted.from_at, wanted.to_at)
        # If little is not noted yet, it is looked through in the order of `seq`; otherwise, as after an upgrade, it is
        # looked for in the index of times. The `+` keep both databases from the other one of the two indexes.
        seq, at = ("seq", "+at") if bounds.reached - bounds.noted <= _LOOKED_THROUGH else ("seq + 0", "at")
        asked = [(f"{seq} >", bounds.noted), (f"{at} >=", wanted.from_at), (f"{at} <", wanted.to_at)]
        given = [(condition, value) for condition, value in asked if value is not None]
        conditions = [f"{condition} ${number}" for number, (condition, _) in enumerate(given, 1)]
        sql = f"SELECT MIN({seq}) AS first, MAX({seq}) AS last FROM audit_events {_where(conditions)}"
        (row,) = await self._driver.read(sql, *(value for _, value in given))
        if row["first"] is None:
            return bounds.first, min(bounds.last, bounds.noted)
        return (bounds.first if bounds.first <= bounds.noted else row["first"]), row["last"]

    async def first_since(self, at: int, end: int) -> int:
        """The number of the first record that is not older than that time; `end` + 1 if there is none up to `end`.

        It looks through a part at a time, beginning where the first one can be.
        """
        sql = "SELECT MIN(seq) AS seq FROM audit_events WHERE seq > $1 AND seq <= $2 AND at >= $3"
        begin = (await self._times.bounds(at, None)).first - 1
        for start in range(begin, end, _SEARCHED_TOGETHER):
            found: int | None = (await self._driver.read(sql, start, start + _SEARCHED_TOGETHER, at))[0]["seq"]
            if found is not None:
                return found
        return end + 1

    async def sign_ins_of(self, user_id: str, limit: int, before_seq: int | None) -> list[AuditRecord]:
        """Who signed in as this user or tried to: at most `limit` records before that one."""
        before = "" if before_seq is None else "AND seq < $5"
        sql = (
            f"SELECT {RECORD} FROM audit_events WHERE target_id = $1 AND {_EVENT} IN ($2, $3) {before} "
            "ORDER BY seq DESC LIMIT $4"
        )
        values = [user_id, *_SIGN_INS, limit]
        return records_of(await self._driver.read(sql, *values, *([] if before_seq is None else [before_seq])))

    async def count_sign_ins(self, begins: Sequence[int], end: int) -> list[tuple[int, int]]:
        """How many logins succeeded and how many failed from each of these times to the next one, the last to `end`.

        It reads only the index of times. One SELECT for each part, since SQLite would sort all records to group them.
        """
        parts = [
            f"SELECT {part} AS part, COUNT(CASE WHEN event = $1 THEN 1 END) AS succeeded, "
            "COUNT(CASE WHEN event = $2 THEN 1 END) AS failed "
            f"FROM audit_events WHERE at >= ${part + 3} AND at < ${part + 4}"
            for part in range(len(begins))
        ]
        rows = await self._driver.read(f"{' UNION ALL '.join(parts)} ORDER BY part", *_SIGN_INS, *begins, end)
        return [(row["succeeded"], row["failed"]) for row in rows]


class _Query:
    """The SQL of one filter, with only the conditions that are set.

    A user is found by id or by name, as actor or as target. These are up to four indexes, of which each gives the first
    records in the order of the page. One condition with OR would read all records of a user and sort them.
    """

    def __init__(self, wanted: AuditFilter) -> None:
        self.values: list[Any] = []
        ways = self._ways(wanted)
        conditions = self._conditions(wanted, alone=not any(ways))
        limit = self._place(wanted.limit)
        found = [
            f"SELECT {{}} FROM audit_events {_where([*conditions, *way])} ORDER BY seq DESC LIMIT {limit}"
            for way in ways
        ]
        if len(found) == 1:
            self.sql = found[0].format(RECORD)
        else:
            parts = [f"SELECT seq FROM ({sql.format('seq')}) AS way{number}" for number, sql in enumerate(found)]
            among = f"WHERE seq IN ({' UNION '.join(parts)})"
            self.sql = f"SELECT {RECORD} FROM audit_events {among} ORDER BY seq DESC LIMIT {limit}"

    def _ways(self, wanted: AuditFilter) -> list[list[str]]:
        """Conditions that together are true for all records of the actor, the target and the user."""
        actor = self._either(("actor_id", wanted.actor_id), ("actor_name", wanted.actor_name))
        target = self._either(("target_id", wanted.target_id), ("target_name", wanted.target_name))
        user = self._either(
            ("actor_id", wanted.user_id),
            ("actor_name", wanted.user_name),
            ("target_id", wanted.user_id),
            ("target_name", wanted.user_name),
        )
        return [list(way) for way in product(*filter(None, (actor, target, user)))]

    def _either(self, *columns: tuple[str, str | None]) -> list[str]:
        return [f"{column} = {self._place(value)}" for column, value in columns if value is not None]

    def _conditions(self, wanted: AuditFilter, *, alone: bool) -> list[str]:
        """What each way has besides. `alone`: nobody is asked for, so records are found by their event."""
        asked = [
            ("seq <", wanted.before_seq),
            ("seq >=", wanted.from_seq),
            ("at >=", wanted.from_at),
            ("at <", wanted.to_at),
            ("event =" if alone else f"{_EVENT} =", wanted.event),
        ]
        return [f"{condition} {self._place(value)}" for condition, value in asked if value is not None]

    def _place(self, value: Any) -> str:
        self.values.append(value)
        return f"${len(self.values)}"


def _where(conditions: Sequence[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""
