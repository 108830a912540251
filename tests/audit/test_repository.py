"""The audit log: in the same step as the change, in one chain, whoever writes."""

from __future__ import annotations

import asyncio
import itertools
import json
import sqlite3
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from server.audit.chain import AuditChain
from server.audit.model import AuditEvent, AuditFilter, AuditNote, AuditRecord
from server.audit.service import Audit
from server.core.errors import NotFound, StoreUnavailable
from server.core.origin import Origin, reset_origin, set_origin
from server.repositories import Repositories
from server.users.errors import LastAdmin, UsernameTaken
from server.users.model import Credentials, User
from tests.audit.tampering import run_sql
from tests.records import (
    NOW,
    add_first_user,
    add_user,
    all_revocations,
    all_users,
    change_user,
    delete_user,
    end_session,
    end_sessions_of,
    id_of,
    import_users,
    key,
    new_user,
    open_session,
    rename,
    session,
    set_password,
)
from tests.stores import OpenStore

KEY = b"the key of the audit log"
HOUR_MS = 3_600_000


async def records(store: Repositories) -> list[AuditRecord]:
    return await store.audit.records_from(None, 10_000)


async def events(store: Repositories) -> list[str]:
    return [record.event for record in await records(store)]


async def verified(store: Repositories) -> int:
    """The number of records of a whole log."""
    verdict = await Audit(store.audit, store.users, AuditChain(KEY)).verify()
    assert verdict.fault is None
    return verdict.count


@pytest.fixture(autouse=True)
def keyed(store: Repositories) -> None:
    store.audit.chain_audit(KEY)


async def test_a_change_is_recorded_with_who_and_where(store: Repositories) -> None:
    before = set_origin(lambda: Origin("http", id_of(9), "sahan", "192.0.2.7", "r-1"))
    await add_user(store, new_user(1))
    await change_user(store, id_of(1), NOW + 1, name="N", disabled=True)
    reset_origin(before)
    await delete_user(store, id_of(1), NOW + 2)
    made, changed, deleted = await records(store)
    assert (made.seq, made.at, made.event) == (1, NOW, "user_created")
    assert (made.actor_id, made.actor_name, made.ip, made.via) == (id_of(9), "sahan", "192.0.2.7", "http")
    assert (made.request_id, made.target_id, made.target_name) == ("r-1", id_of(1), "user1")
    assert (made.before, json.loads(made.after or "")) == (
        None,
        {"name": "Name 1", "role": "customer", "password": True},
    )
    assert json.loads(changed.before or "") == {"name": "Name 1", "disabled": False}
    assert json.loads(changed.after or "") == {"name": "N", "disabled": True}
    assert (deleted.via, deleted.actor_id, deleted.request_id) == ("server", None, None)
    assert json.loads(deleted.before or "") == {"name": "N", "role": "customer", "disabled": True}
    assert await verified(store) == 3


async def test_what_changes_nothing_is_not_recorded(store: Repositories) -> None:
    await add_user(store, new_user(1, role="admin"))
    await open_session(store, session(10, 1), NOW)
    await end_session(store, id_of(10), None, NOW)
    before = await records(store)
    with pytest.raises(UsernameTaken):
        await add_user(store, new_user(2, username="USER1"))
    with pytest.raises(LastAdmin):
        await delete_user(store, id_of(1), NOW)
    with pytest.raises(LastAdmin):
        await change_user(store, id_of(1), NOW, role="customer")
    assert not await add_first_user(store, new_user(3))
    assert await rename(store, 1, "Name 1", NOW + 1)
    with pytest.raises(NotFound):
        await rename(store, 7, "nobody", NOW + 1)
    assert not await set_password(store, 1, "new", NOW - 1, NOW)
    assert await open_session(store, session(11, 1), NOW - 1) is None
    assert not await end_session(store, id_of(10), None, NOW)
    assert await end_sessions_of(store, id_of(1), None, NOW) == 0
    assert await store.sessions.step_session(id_of(10), 0, NOW, NOW) is None
    assert not await store.keys.swap_keys([key(1)], [], AuditNote(AuditEvent.KEYS_ROTATED, NOW))
    assert await records(store) == before
    assert await verified(store) == 3


async def test_a_refresh_is_not_recorded(store: Repositories) -> None:
    await add_user(store, new_user(1))
    await open_session(store, session(10, 1), NOW)
    assert await store.sessions.step_session(id_of(10), 0, NOW + 6, NOW + 900) is not None
    assert await events(store) == ["user_created", "login_succeeded"]


async def test_who_has_just_logged_in_or_out_is_the_actor(store: Repositories) -> None:
    await add_user(store, new_user(1))
    for number, event in ((10, AuditEvent.LOGGED_OUT), (11, AuditEvent.REFRESH_REUSED)):
        await open_session(store, session(number, 1), NOW)
        await end_session(store, id_of(number), None, NOW, event=event)
    _, login, logout, _, reused = await records(store)
    assert (login.actor_id, login.actor_name) == (id_of(1), "user1")
    assert json.loads(login.after or "") == {"session_id": id_of(10), "user_agent": "curl/8"}
    assert (logout.event, logout.actor_id, logout.target_name) == ("logged_out", id_of(1), "user1")
    # Whoever has an old token may be anybody.
    assert (reused.event, reused.actor_id, reused.target_id) == ("refresh_reused", None, id_of(1))


async def test_a_record_that_can_not_be_written_undoes_its_change(store: Repositories, store_url: str) -> None:
    await add_user(store, new_user(1))
    await open_session(store, session(10, 1), NOW)
    # The next record finds its place taken.
    await run_sql(store_url, "UPDATE audit_head SET seq = 0")
    refused = (
        add_user(store, new_user(2)),
        rename(store, 1, "other", NOW + 1),
        delete_user(store, id_of(1), NOW),
        set_password(store, 1, "new", NOW, NOW),
        open_session(store, session(11, 1), NOW),
        end_session(store, id_of(10), None, NOW),
        end_sessions_of(store, id_of(1), None, NOW),
        store.keys.swap_keys([], [key(1)], AuditNote(AuditEvent.KEYS_ROTATED, NOW)),
    )
    for change in refused:
        with pytest.raises((StoreUnavailable, sqlite3.IntegrityError)) as caught:
            await change
        assert "unique" in f"{caught.value!r} {caught.value.__cause__!r}".lower()
    await run_sql(store_url, "UPDATE audit_head SET seq = 2")
    user = await store.users.get_user(id_of(1))
    assert user is not None
    assert (user.name, len(await all_users(store))) == ("Name 1", 1)
    assert [found.id for found in await store.sessions.list_sessions(id_of(1), NOW)] == [id_of(10)]
    assert await store.keys.list_keys() == []
    assert await all_revocations(store) == []
    assert await set_password(store, 1, "new", NOW, NOW + 1)
    assert await verified(store) == 3


async def test_writers_of_two_stores_make_one_unbroken_chain(store: Repositories, open_another: OpenStore) -> None:
    other = await open_another()
    other.audit.chain_audit(KEY)
    stores = [store, other]

    async def act(number: int) -> None:
        mine = stores[number % 2]
        user = number % 7
        try:
            await add_user(mine, new_user(user))
        except UsernameTaken:
            # Whoever is there may be deleted meanwhile.
            with suppress(NotFound):
                await rename(mine, user, f"N {number}", NOW + number)
            await mine.audit.record(AuditNote(AuditEvent.LOGIN_FAILED, NOW))
            if number % 5 == 0:
                with suppress(NotFound):
                    await delete_user(mine, id_of(user), NOW)

    await asyncio.gather(*(act(number) for number in range(80)))
    found = await records(store)
    assert [record.seq for record in found] == list(range(1, len(found) + 1))
    assert await verified(store) == await verified(other) == len(found) > 80
    living = {record.target_id: record.event for record in found if record.event in {"user_created", "user_deleted"}}
    # The order of the log is the order of the changes.
    assert {user.id for user in await all_users(store)} == {
        user for user, event in living.items() if event == "user_created"
    }


async def test_an_import_is_recorded_with_those_that_were_made(store: Repositories) -> None:
    await add_user(store, new_user(2))
    users = [Credentials(User(id_of(n), f"user{n}", "N", "customer", None, 5, 5, None), "hash", 5) for n in (3, 2, 1)]
    await import_users(store, users, NOW + 1)
    await import_users(store, users, NOW + 2)
    _, imported = await records(store)
    assert (imported.event, imported.at) == ("users_imported", NOW + 1)
    assert json.loads(imported.after or "") == {"users": 2, "user_ids": [id_of(1), id_of(3)]}
    assert await verified(store) == 2


async def test_pages_and_filters(store: Repositories) -> None:
    for number in range(1, 6):
        await add_user(store, new_user(number))
    await rename(store, 3, "x", NOW)
    await rename(store, 3, "y", NOW)

    async def seqs(limit: int = 10, **wanted: Any) -> list[int]:
        return [record.seq for record in await store.audit.find(AuditFilter(limit, **wanted))]

    assert await seqs() == [7, 6, 5, 4, 3, 2, 1]
    assert await seqs(2) == [7, 6]
    assert await seqs(2, before_seq=6) == [5, 4]
    assert await seqs(event="user_changed") == [7, 6]
    assert await seqs(target_id=id_of(3)) == await seqs(target_name="user3") == [7, 6, 3]
    assert await seqs(target_id=id_of(3), event="user_created", before_seq=7) == [3]
    assert await seqs(actor_id=id_of(3)) == await seqs(actor_name="x") == []
    assert await seqs(target_name="a\0b") == await seqs(target_name="\ud800") == []
    assert [record.seq for record in await store.audit.records_from(3, 3)] == [3, 4, 5]


async def test_a_user_is_found_as_actor_or_target_by_id_or_name(store: Repositories) -> None:
    """Each record once, in order and in pages, whichever of the four columns has the user."""
    one, two = (id_of(1), "one"), (id_of(2), "two")
    for actor, target in ((one, two), (two, one), (one, one), (two, two), (None, one), (one, None), (None, None)):
        before = set_origin(partial(Origin, "http", *(actor or (None, None))))
        target_id, target_name = target or (None, None)
        await store.audit.record(AuditNote(AuditEvent.USER_CHANGED, NOW, target_id, target_name))
        reset_origin(before)
    # Named so once: under another id.
    await store.audit.record(AuditNote(AuditEvent.USER_RENAMED, NOW, id_of(3), "one"))

    async def seqs(limit: int = 10, **wanted: Any) -> list[int]:
        return [record.seq for record in await store.audit.find(AuditFilter(limit, **wanted))]

    by_id, by_both = [6, 5, 3, 2, 1], [8, 6, 5, 3, 2, 1]
    assert await seqs(user_id=id_of(1)) == by_id
    assert await seqs(user_name="one") == await seqs(user_id=id_of(1), user_name="one") == by_both
    assert await seqs(user_id=id_of(1), user_name="one", event="user_changed") == by_id
    assert await seqs(user_id=id_of(1), actor_id=id_of(2)) == [2]
    assert await seqs(user_id=id_of(1), actor_id=id_of(2), actor_name="two", target_name="one") == [2]
    assert await seqs(user_name="nobody") == await seqs(user_name="\ud800") == []
    pages: list[int] = []
    while page := await seqs(2, user_id=id_of(1), user_name="one", before_seq=pages[-1] if pages else None):
        pages += page
    assert pages == by_both


async def test_all_records_of_a_time_are_found_though_the_clock_was_set_back(store: Repositories) -> None:
    """And no others, in the order of their numbers."""
    times = [100, 200, 300, 150, 200, 250, 400, 120]
    for at in times:
        await store.audit.record(AuditNote(AuditEvent.USER_CREATED, NOW + at, target_id=id_of(0)))

    async def found(limit: int = 10, **wanted: Any) -> list[int]:
        return [record.at - NOW for record in await store.audit.find(AuditFilter(limit, **wanted))]

    for one in itertools.product((None, 100, 150, 201, 300, 401), repeat=2):
        begin, end = one
        expected = [at for at in reversed(times) if (begin is None or begin <= at) and (end is None or at < end)]
        asked: dict[str, Any] = {
            "from_at": None if begin is None else NOW + begin,
            "to_at": None if end is None else NOW + end,
        }
        assert await found(**asked) == await found(user_id=id_of(0), **asked) == expected, one
    assert await found(from_at=NOW + 150, event="user_created", to_at=NOW + 151) == [150]
    assert await found(from_at=NOW + 150, from_seq=4) == [400, 250, 200, 150]
    assert await found(from_at=-(2**60), to_at=2**60, actor_id=id_of(0)) == []
    # In pages: what is written meanwhile is not on a later one.
    pages: list[AuditRecord] = []
    while page := await store.audit.find(
        AuditFilter(2, from_at=NOW + 120, to_at=NOW + 300, before_seq=pages[-1].seq if pages else None)
    ):
        pages += page
        await store.audit.record(AuditNote(AuditEvent.USER_CREATED, NOW + 200, target_id=id_of(0)))
    assert [record.at - NOW for record in pages] == [120, 250, 200, 150, 200]


async def test_sign_ins_are_counted_by_the_hour(store: Repositories) -> None:
    hour = NOW - NOW % HOUR_MS
    await add_user(store, new_user(1))
    for minutes, event in (
        (-1, AuditEvent.LOGIN_SUCCEEDED),
        (0, AuditEvent.LOGIN_SUCCEEDED),
        (59, AuditEvent.LOGIN_SUCCEEDED),
        (30, AuditEvent.LOGIN_FAILED),
        (60, AuditEvent.LOGIN_FAILED),
        (60, AuditEvent.LOGGED_OUT),
        (120, AuditEvent.LOGIN_FAILED),
    ):
        await store.audit.record(AuditNote(event, hour + minutes * 60_000, target_id=id_of(1)))
    begins = range(hour, hour + 3 * HOUR_MS, HOUR_MS)
    assert await store.audit.count_sign_ins(begins, begins[-1]) == [(2, 1), (0, 1), (0, 0)]
    assert await store.audit.count_sign_ins(begins, begins[-1] + 1) == [(2, 1), (0, 1), (0, 1)]


@pytest.mark.parametrize("text", ["a\nb", "a\0b", "\u2028", "\u202ered", "\x85\x1b[31m", "\ud800"])
async def test_hostile_text_is_kept_and_its_json_is_one_line(store: Repositories, text: str) -> None:
    before = set_origin(lambda: Origin("command line", actor_name=text))
    await store.audit.record(AuditNote(AuditEvent.LOGIN_FAILED, NOW, target_name=text, after={"user_agent": text}))
    reset_origin(before)
    (record,) = await records(store)
    assert record.after is not None
    assert record.after.isascii()
    assert record.after.isprintable()
    assert json.loads(record.after) == {"user_agent": text}
    assert await verified(store) == 1


async def test_without_the_head_nothing_can_be_changed(store: Repositories, store_url: str) -> None:
    await run_sql(store_url, "DELETE FROM audit_head")
    with pytest.raises(StoreUnavailable):
        await add_user(store, new_user(1))
    assert await all_users(store) == []
