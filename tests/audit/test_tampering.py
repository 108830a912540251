"""Whoever can write to the database can't change the audit log unnoticed."""

# ruff: noqa: S608 - the SQL of somebody who tampers

from __future__ import annotations

import pytest

from server.audit import service
from server.audit.chain import AuditChain
from server.audit.service import Audit, Verdict
from server.repositories import Repositories
from tests.audit.tampering import run_sql
from tests.records import NOW, add_user, delete_user, id_of, new_user, rename

KEY = b"the key of the audit log"
COUNT = 7
COLUMNS = (
    "seq, at, event, actor_id, actor_name, target_id, target_name, via, ip, request_id, before_change, after_change, "
    "hash"
)
WITHOUT_TRIGGER = {
    "sqlite": "DROP TRIGGER audit_head_follows",
    "postgresql": "DROP TRIGGER audit_head_follows ON audit_events",
}


@pytest.fixture(autouse=True)
async def filled(store: Repositories) -> None:
    store.audit.chain_audit(KEY)
    for number in range(1, COUNT - 1):
        await add_user(store, new_user(number))
    await rename(store, 3, "other", NOW + 1)
    await delete_user(store, id_of(4), NOW + 2)


@pytest.fixture(params=[2, 1000])
def page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Faults lie inside a page and between two."""
    monkeypatch.setattr(service, "PAGE", request.param)
    size: int = request.param
    return size


async def verify(store: Repositories, head: str | None = None) -> Verdict:
    return await Audit(store.audit, store.users, AuditChain(KEY)).verify(head)


async def fault(store: Repositories, head: str | None = None) -> tuple[int, str] | None:
    found = (await verify(store, head)).fault
    return None if found is None else (found.seq, found.reason.partition(":")[0])


async def test_a_log_that_nobody_touched_is_whole(store: Repositories, page: int) -> None:
    verdict = await verify(store)
    head = await store.audit.head()
    assert head is not None
    assert (verdict.fault, verdict.count, verdict.head) == (None, COUNT, head.hash)
    assert (await verify(store, head.hash)).fault is None
    await rename(store, 1, "later", NOW + 3)
    assert (await verify(store, head.hash)).count == COUNT + 1
    assert await fault(store, "0" * 64) == (COUNT + 2, "cut off")


async def test_the_count_of_pages_is_told(store: Repositories, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "PAGE", 3)
    told: list[int] = []
    await Audit(store.audit, store.users, AuditChain(KEY)).verify(progress=told.append)
    assert told == [3, 6, 7]


@pytest.mark.parametrize("seq", range(1, COUNT + 1))
async def test_any_altered_column_of_any_row_is_found(store: Repositories, store_url: str, seq: int) -> None:
    original = (await store.audit.records_from(seq, 1))[0]
    columns = COLUMNS.split(", ")[1:]
    for column, value in zip(columns, list(_values(original))[1:], strict=True):
        for change in ("NULL", "'x'") if column != "at" else ("at + 1",):
            if (change == "NULL" and (value is None or column in {"event", "via", "hash"})) or change == f"'{value}'":
                continue
            await run_sql(store_url, f"UPDATE audit_events SET {column} = {change} WHERE seq = {seq}")
            assert await fault(store) == (seq, "altered"), (column, change)
            back = "NULL" if value is None else value if column == "at" else f"'{value}'"
            await run_sql(store_url, f"UPDATE audit_events SET {column} = {back} WHERE seq = {seq}")
    assert await fault(store) is None


def _values(record: object) -> list[object]:
    return [getattr(record, name) for name in record.__slots__]  # type: ignore[attr-defined]


@pytest.mark.parametrize("seq", range(1, COUNT))
async def test_a_missing_row_is_found(store: Repositories, store_url: str, seq: int, page: int) -> None:
    await run_sql(store_url, f"DELETE FROM audit_events WHERE seq = {seq}")
    assert await fault(store) == (seq, "missing")


async def test_closing_the_gap_does_not_help(store: Repositories, store_url: str) -> None:
    await run_sql(store_url, "DELETE FROM audit_events WHERE seq = 3")
    for seq in range(4, COUNT + 1):
        await run_sql(store_url, f"UPDATE audit_events SET seq = {seq - 1} WHERE seq = {seq}")
    await run_sql(store_url, f"UPDATE audit_head SET seq = {COUNT - 1}")
    assert await fault(store) == (3, "altered")


@pytest.mark.parametrize("count", [1, 3, COUNT])
async def test_a_cut_off_tail_is_found(store: Repositories, store_url: str, count: int, page: int) -> None:
    await run_sql(store_url, f"DELETE FROM audit_events WHERE seq > {COUNT - count}")
    assert await fault(store) == (COUNT - count + 1, "cut off")


async def test_an_altered_or_missing_head_is_found(store: Repositories, store_url: str) -> None:
    await run_sql(store_url, "UPDATE audit_head SET hash = 'x'")
    assert await fault(store) == (COUNT, "altered")
    await run_sql(store_url, "UPDATE audit_head SET seq = 5")
    assert await fault(store) == (5, "altered")
    await run_sql(store_url, "DELETE FROM audit_head")
    assert await fault(store) == (COUNT + 1, "missing")


@pytest.mark.parametrize("seq", [0, -5, -(2**63), COUNT + 1, COUNT + 9])
async def test_an_inserted_row_is_found(store: Repositories, store_url: str, seq: int, page: int) -> None:
    kind = store_url.partition(":")[0]
    copied = COLUMNS.removeprefix("seq, ")
    await run_sql(
        store_url,
        WITHOUT_TRIGGER[kind],
        f"INSERT INTO audit_events ({COLUMNS}) SELECT {seq}, {copied} FROM audit_events WHERE seq = 2",
    )
    assert await fault(store) == (seq, "inserted")


WITHOUT_KEY = {
    "sqlite": (
        "CREATE TABLE copied AS SELECT * FROM audit_events",
        "DROP TABLE audit_events",
        "ALTER TABLE copied RENAME TO audit_events",
    ),
    "postgresql": ("ALTER TABLE audit_events DROP CONSTRAINT audit_events_pkey",),
}


@pytest.mark.parametrize("seq", [1, 3, COUNT])
async def test_a_second_row_of_a_number_is_found(store: Repositories, store_url: str, seq: int, page: int) -> None:
    kind = store_url.partition(":")[0]
    copied = COLUMNS.removeprefix("seq, ")
    await run_sql(
        store_url,
        *WITHOUT_KEY[kind],
        f"INSERT INTO audit_events ({COLUMNS}) SELECT {seq}, {copied} FROM audit_events WHERE seq = 2",
    )
    # Which of the two comes first is for the database to decide.
    assert await fault(store) in {(seq, "altered"), (seq, "inserted")}
    async for records in Audit(store.audit, store.users, AuditChain(KEY)).pages():
        assert records


async def test_a_row_that_moves_the_head_is_found_too(store: Repositories, store_url: str) -> None:
    copied = COLUMNS.removeprefix("seq, ")
    insert = f"INSERT INTO audit_events ({COLUMNS}) SELECT {COUNT + 1}, {copied} FROM audit_events WHERE seq = 2"
    await run_sql(store_url, insert)
    assert await fault(store) == (COUNT + 1, "altered")


async def test_swapped_rows_are_found(store: Repositories, store_url: str) -> None:
    swap = [(2, 99), (5, 2), (99, 5)]
    await run_sql(store_url, *(f"UPDATE audit_events SET seq = {new} WHERE seq = {old}" for old, new in swap))
    assert await fault(store) == (2, "altered")


async def test_a_chain_that_was_made_anew_without_the_key_is_found(store: Repositories, store_url: str) -> None:
    forged = AuditChain(b"")
    previous = ""
    for record in await store.audit.records_from(None, COUNT):
        values = [*_values(record)[:-1]]
        values[6] = "somebody else"
        previous = forged.link(previous, values)  # type: ignore[arg-type]
        await run_sql(
            store_url,
            f"UPDATE audit_events SET hash = '{previous}', target_name = 'somebody else' WHERE seq = {record.seq}",
        )
    await run_sql(store_url, f"UPDATE audit_head SET hash = '{previous}'")
    assert await fault(store) == (1, "altered")


async def test_a_log_put_back_to_an_earlier_state_is_found_by_the_head_that_was_kept(
    store: Repositories, store_url: str
) -> None:
    kept = (await verify(store)).head
    (third,) = await store.audit.records_from(3, 1)
    await run_sql(
        store_url,
        "DELETE FROM audit_events WHERE seq > 3",
        f"UPDATE audit_head SET seq = 3, hash = '{third.hash}'",
    )
    assert await fault(store) is None
    assert await fault(store, kept) == (4, "cut off")
    # Also when it has grown again.
    for number in range(10, 16):
        await add_user(store, new_user(number))
    assert await fault(store, kept) == (10, "cut off")
