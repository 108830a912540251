from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from server.audit.model import AuditFilter
from server.audit.search import AuditSearch
from server.audit.times import AuditTimes
from server.database.inserting import batches, insert_into
from server.database.steps import in_steps
from server.repositories import Repositories
from tests.stores import OpenStore
from tests.volume import volume

# A small part has so many records, and a large one so many small ones.
SMALL, PARTS = 3, 4


async def write(store: Repositories, times: Sequence[int], begin: int = 1) -> None:
    """Records of these times, without their chain. A trigger keeps the end of the log."""
    rows = [(seq, at, "login_failed", "http", "") for seq, at in enumerate(times, begin)]
    for part in batches(rows):
        insert = insert_into("audit_events", ("seq", "at", "event", "via", "hash"), len(part))
        await store.driver.write_one(insert, *(value for row in part for value in row))


def clocks(count: int, seed: int) -> list[int]:
    """Times that rise, but for clocks that are set back or ahead for a while."""
    source, at, ahead, times = random.Random(seed), 1000, 0, []
    for _ in range(count):
        at += source.randrange(3)
        if source.random() < 0.1:
            ahead = source.choice([0, 0, 0, -300, -20, 15, 400])
        times.append(at + ahead)
    return times


@pytest.mark.parametrize("noted", [0.0, 0.5, 1.0])
async def test_all_of_a_time_are_found_whatever_the_clock_did(store: Repositories, noted: float) -> None:
    count = 100
    times = clocks(count, seed=int(noted * 10) + 1)
    parts = AuditTimes(store.driver, SMALL, PARTS)
    search = AuditSearch(store.driver, parts)
    await write(store, times[: int(count * noted)])
    await in_steps(parts.note)
    await write(store, times[int(count * noted) :], int(count * noted) + 1)
    source = random.Random(9)
    for _ in range(volume(400)):
        from_at, to_at = (source.choice([None, 0, 10**9, *range(990, 1200)]) for _ in range(2))
        before = source.choice([None, None, source.randrange(1, count + 2)])
        wanted = AuditFilter(7, from_at=from_at, to_at=to_at, before_seq=before)
        expected = [
            seq
            for seq, at in enumerate(times, 1)
            if (from_at is None or at >= from_at) and (to_at is None or at < to_at) and (before is None or seq < before)
        ]
        found = [record.seq for record in await search.find(wanted)]
        assert found == expected[::-1][:7], (from_at, to_at, before)
        if from_at is not None:
            since = min((seq for seq, at in enumerate(times, 1) if at >= from_at), default=count + 1)
            assert await search.first_since(from_at, count) == since


async def test_each_full_part_is_noted_once_by_whomever(store: Repositories, open_another: OpenStore) -> None:
    parts = [AuditTimes(one.driver, SMALL, PARTS) for one in (store, await open_another())]
    await write(store, [5, 1, 3, 9, 2, 2, 4])
    # The last part is not full.
    assert [await one.note(10) for one in parts] == [2, 0]
    rows = "SELECT size, part, earliest_at, latest_at FROM audit_times ORDER BY size, part"
    assert [tuple(row) for row in await store.driver.read(rows)] == [(3, 0, 1, 5), (3, 1, 2, 9)]
    await write(store, [8] * 30, 8)
    assert [await one.note(3) for one in (*parts, *parts)] == [3, 3, 3, 1]
    noted = [tuple(row) for row in await store.driver.read(rows)]
    assert noted[:4] == [(3, 0, 1, 5), (3, 1, 2, 9), (3, 2, 4, 8), (3, 3, 8, 8)]
    assert noted[-3:] == [(12, 0, 1, 9), (12, 1, 8, 8), (12, 2, 8, 8)]
    bounds = await parts[0].bounds(9, None)
    assert (bounds.reached, bounds.noted, bounds.first, bounds.last) == (37, 36, 4, 36)


async def test_a_part_whose_records_were_taken_away_holds_nothing_up(store: Repositories) -> None:
    """`audit verify` tells of it."""
    await write(store, range(10, 40))
    await store.driver.write_one("DELETE FROM audit_events WHERE seq > 3 AND seq < 20")
    parts = AuditTimes(store.driver, SMALL, PARTS)
    assert await in_steps(parts.note) == 10
    search = AuditSearch(store.driver, parts)
    found = await search.find(AuditFilter(50, from_at=11, to_at=35))
    assert [record.seq for record in found] == [*range(25, 19, -1), 3, 2]
    assert await search.first_since(14, 30) == 20


async def test_the_background_notes_what_was_there_before(store: Repositories) -> None:
    """As after an upgrade: with the sizes that serve."""
    count = volume(15_000)
    await write(store, range(count))
    assert await in_steps(store.audit.note_times) == count // 1000
    found = await store.audit.find(AuditFilter(3, from_at=500, to_at=1100))
    assert [record.at for record in found] == [1099, 1098, 1097]


async def test_the_parts_are_not_copied_to_look_through_them(store: Repositories) -> None:
    """Of ten million records there are ten thousand parts, and a copy of them took 5 ms for each question."""
    times = AuditTimes(store.driver)
    how = "EXPLAIN QUERY PLAN " if store.driver.dialect == "sqlite" else "EXPLAIN "
    plan = "\n".join(str(tuple(row)) for row in await store.driver.read(how + times._bounds, 1000, 2000))
    assert "audit_times" in plan
    assert "MATERIALIZE" not in plan
    assert "CTE Scan on small" not in plan
    assert "CTE Scan on large" not in plan
    assert "TEMP B-TREE" not in plan
