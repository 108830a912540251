from __future__ import annotations

import random
import tracemalloc
import uuid
from dataclasses import replace

import pytest

from server.core.clock import SystemClock
from server.repositories import Repositories
from server.sessions.ended_sessions import TIME_BASE, EndedSessions, GatheredSessions, packed_entries
from server.sessions.model import MEMORY_MS
from server.sessions.revocation import Revocations
from tests.records import (
    NOW,
    add_user,
    all_revocations,
    change_user,
    end_sessions_of,
    id_of,
    new_user,
    open_session,
    session,
)
from tests.volume import volume
from watchword_client.claims import AccessClaims


def random_ids(count: int, seed: int = 1) -> list[str]:
    """As many different ids; few last digits, so that many share a bucket."""
    source = random.Random(seed)
    return [str(uuid.UUID(int=source.getrandbits(112) << 16 | source.getrandbits(4))) for _ in range(count)]


def test_exactly_what_was_added_is_there() -> None:
    ended = EndedSessions()
    ids = random_ids(volume(20_000))
    for session_id in ids[::2]:
        ended.add(session_id, NOW)
    assert all(session_id in ended for session_id in ids[::2])
    assert not any(session_id in ended for session_id in ids[1::2])
    assert len(ended) == len(ids[::2])


def test_what_was_added_twice_is_there_once_and_the_later_time_counts() -> None:
    ended = EndedSessions()
    for times in ((5, 9), (9, 5)):
        (session_id,) = random_ids(1, seed=times[0])
        before = len(ended)
        for until in times:
            ended.add(session_id, until)
        assert len(ended) == before + 1
    ended.forget(8)
    assert len(ended) == 2
    ended.forget(9)
    assert len(ended) == 0


def test_bytes_across_two_entries_are_no_id() -> None:
    """An id that equals the end of one entry and the beginning of the next, in the same bucket."""
    first, second = b"\x01" * 14 + b"\x12\x34", b"\x02" * 14 + b"\x12\x34"
    until = 1_790_000_001_234
    ended = EndedSessions()
    for key in (first, second):
        ended.add(str(uuid.UUID(bytes=key)), until)
    bytes_of_bucket = first + bytes.fromhex(str(TIME_BASE + until)) + second
    found = [str(uuid.UUID(bytes=bytes_of_bucket[start : start + 16])) for start in range(len(bytes_of_bucket) - 15)]
    assert [number for number, one in enumerate(found) if one in ended] == [0, 24]
    # It ends as the others do, so it is looked for in their bucket, and can be added beside what looks like it.
    assert found[8].endswith("1234")
    ended.add(found[8], until)
    assert found[8] in ended
    assert len(ended) == 3


@pytest.mark.parametrize("odd", ["s1", "", "x" * 36, "0199", "é" * 36, f"{'0' * 36}"])
def test_an_id_that_is_none_is_remembered_too(odd: str) -> None:
    ended = EndedSessions()
    assert odd not in ended
    ended.add("00000000-0000-0000-0000-000000000000", 10)
    ended.add(odd, 5)
    assert odd in ended
    ended.forget(5)
    assert odd not in ended


def test_it_forgets_a_part_at_a_time_and_all_in_the_end() -> None:
    ended = EndedSessions()
    source = random.Random(3)
    ids = [str(uuid.UUID(int=source.getrandbits(128))) for _ in range(3000)]
    for number, session_id in enumerate(ids):
        ended.add(session_id, number % 2)
    ended.forget(0)
    assert 1500 < len(ended) < 3000
    for _ in range(20):
        ended.forget(0)
    assert [session_id in ended for session_id in ids] == [False, True] * 1500


def test_a_million_take_little_memory() -> None:
    source = random.Random(4)
    ended = EndedSessions()
    count = volume(1_000_000)
    tracemalloc.start()
    for _ in range(count):
        ended.add(str(uuid.UUID(int=source.getrandbits(128))), NOW)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(ended) == count
    # Of the limit of 60 MB for a million. The buckets themselves are made by the first hundred thousand.
    assert taken < 24 * count + 14_000_000


def text_of(session_id: str, until: int) -> str:
    return f"{session_id}{TIME_BASE + until}"


def test_what_is_gathered_is_there_beside_what_was() -> None:
    ended = EndedSessions()
    ids = random_ids(200) + [str(uuid.UUID(int=number << 16 | number)) for number in (0, 255, 256, 65535)]
    ended.add(ids[0], 5)
    gathered = GatheredSessions()
    # One of them twice, and each later than before.
    for part in (ids[:50], ids[40:150] + ids[200:]):
        entries = packed_entries("".join(text_of(one, NOW) for one in part))
        assert entries is not None
        gathered.add_packed(entries)
    ended.add_gathered(gathered)
    assert [one in ended for one in ids] == [True] * 150 + [False] * 50 + [True] * 4
    ended.forget(NOW - 1)
    assert all(one in ended for one in ids[:150] + ids[200:])
    ended.forget(NOW)
    assert len(ended) == 0


GOOD = "01998f00-0000-7000-8000-00000000a001"


@pytest.mark.parametrize(
    "odd",
    [
        text_of(GOOD.upper(), NOW),
        text_of(GOOD.replace("a", "g"), NOW),
        text_of(GOOD.replace("a", "\u0661"), NOW),
        text_of(GOOD.replace("a", " "), NOW),
        text_of(GOOD.replace("a", "\0"), NOW),
        text_of("0199" * 9, NOW),
        text_of("-" * 36, NOW),
        # With as many dashes as there should be, elsewhere.
        text_of("01998f000-000-7000-8000-00000000a001", NOW),
        text_of(GOOD, NOW)[1:],
        text_of(GOOD, NOW) + "0" * 51,
    ],
)
def test_a_text_with_something_else_in_it_is_no_text_of_entries(odd: str) -> None:
    good = text_of(GOOD, NOW)
    entries = packed_entries(good)
    assert entries == uuid.UUID(GOOD).bytes + bytes.fromhex(str(TIME_BASE + NOW))
    assert packed_entries("") == b""
    assert packed_entries(good * 3) == entries * 3
    assert packed_entries(good + odd + good) is None


async def test_many_revocations_are_read_in_pages_and_none_is_left_out(
    store: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("sqlite.driver", "postgres.added"):
        monkeypatch.setattr(f"server.database.{module}.ROWS_IN_A_PAGE", 7)
    await add_user(store, new_user(1))
    numbers = range(100, 130)
    for number in numbers:
        assert await open_session(store, session(number, 1), NOW)
    revocations = Revocations(store.sessions, SystemClock(), 300)
    await revocations.refresh()
    claims = {
        number: AccessClaims("i", "s", "a", 0, 1, "j", session_id=id_of(number), role="r", username="u")
        for number in numbers
    }
    assert not any(map(revocations.is_revoked, claims.values()))
    # The second process reads all at its start.
    assert await end_sessions_of(store, id_of(1), id_of(129), NOW) == 29
    second = Revocations(store.sessions, SystemClock(), 300)
    for one in (revocations, second):
        await one.refresh()
        assert [number for number in numbers if not one.is_revoked(claims[number])] == [129]
    found = await all_revocations(store)
    assert {one.session_id for one in found} == {id_of(number) for number in range(100, 129)}
    assert {one.forget_at for one in found} == {NOW + MEMORY_MS}


async def test_what_can_not_be_packed_is_read_all_the_same(
    store: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role, and ids that this server never makes, between sessions that have ended."""
    for module in ("sqlite.driver", "postgres.added"):
        monkeypatch.setattr(f"server.database.{module}.ROWS_IN_A_PAGE", 4)
    odd = ["s1", "0" * 31, "g" * 32, "0199" * 9, id_of(1).upper().replace("0", "A")]
    ids = [id_of(number) for number in range(9)]
    for session_id in [*ids[:5], *odd, *ids[5:]]:
        sql = "INSERT INTO revocations (session_id, forget_at) VALUES ($1, $2)"
        await store.driver.write_one(sql, session_id, NOW + 2**40)
    await add_user(store, new_user(1))
    await change_user(store, id_of(1), NOW, role="admin")
    revocations = Revocations(store.sessions, SystemClock(), 300)
    await revocations.refresh()
    claims = AccessClaims("i", id_of(1), "a", 0, 1, "j", session_id="", role="customer", username="u")
    assert all(revocations.has_ended(replace(claims, session_id=one)) for one in [*ids, *odd])
    assert not revocations.has_ended(replace(claims, session_id=id_of(9)))
    assert revocations.has_other_role(claims)
