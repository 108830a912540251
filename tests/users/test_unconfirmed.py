"""Accounts that have to confirm an address first: no session is opened for them, and their time ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from server.authentication.errors import EmailNotConfirmed
from server.background import purge
from server.core.errors import NotFound
from server.database.driver import Transaction
from server.database.steps import FIRST_STEP
from server.repositories import Repositories
from server.users.errors import LastAdmin
from server.users.transfer.exporter import export_pages
from tests.clock import FakeClock
from tests.records import NOW, add_user, all_users, change_user, id_of, new_user, open_session, session
from tests.stores import OpenStore

UNTIL = NOW + 1000


async def add_unconfirmed(store: Repositories, number: int, **values: Any) -> None:
    await add_user(store, new_user(number, email=f"user{number}@example.com", **values))

    async def unit(transaction: Transaction) -> None:
        await store.unconfirmed.add(transaction, id_of(number), UNTIL)

    await store.driver.write(unit)


async def unconfirmed(store: Repositories) -> list[str]:
    return await store.unconfirmed.expired(UNTIL, 1000)


async def usernames(store: Repositories) -> list[str]:
    return [user.username for user in await all_users(store)]


async def test_no_session_is_opened_until_the_address_is_confirmed(store: Repositories) -> None:
    await add_unconfirmed(store, 1)
    with pytest.raises(EmailNotConfirmed):
        await open_session(store, session(10, 1), NOW)
    # Who is told must know the password, and be let in.
    assert await open_session(store, session(10, 1), NOW + 1) is None
    await change_user(store, id_of(1), NOW, disabled=True)
    assert await open_session(store, session(10, 1), NOW) is None
    assert await store.sessions.get_session(id_of(10)) is None
    await change_user(store, id_of(1), NOW, disabled=False)
    # What an admin says of the address counts as a confirmation; that there is none does not.
    await change_user(store, id_of(1), NOW + 1, email=None)
    with pytest.raises(EmailNotConfirmed):
        await open_session(store, session(10, 1), NOW)
    await change_user(store, id_of(1), NOW + 2, email="user1@example.com")
    assert await unconfirmed(store) == []
    assert await open_session(store, session(10, 1), NOW) is not None
    await change_user(store, id_of(1), NOW + 3, email=None)
    assert await open_session(store, session(11, 1), NOW) is not None


async def test_a_program_that_knows_no_such_accounts_may_verify_the_address(store: Repositories) -> None:
    await add_unconfirmed(store, 1)
    await store.driver.write_one("UPDATE users SET email_verified_at = $1 WHERE id = $2", NOW, id_of(1))
    assert await unconfirmed(store) == [id_of(1)]
    assert await open_session(store, session(10, 1), NOW) is not None
    await purge(store, FakeClock(UNTIL))
    assert (await usernames(store), await unconfirmed(store)) == (["user1"], [])


async def test_who_never_confirms_is_deleted_with_a_record(store: Repositories) -> None:
    await add_user(store, new_user(1))
    for number in range(2, FIRST_STEP + 4):
        await add_unconfirmed(store, number, role="admin" if number == 2 else "customer")
    await purge(store, FakeClock(UNTIL - 1))
    assert len(await usernames(store)) == FIRST_STEP + 3
    await change_user(store, id_of(3), NOW, email="user3@example.com")
    await purge(store, FakeClock(UNTIL))
    assert await usernames(store) == ["user1", "user3"]
    deleted = [record for record in await store.audit.records_from(None, 1000) if record.event == "user_deleted"]
    assert {record.target_id for record in deleted} == {
        id_of(2),
        *(id_of(number) for number in range(4, FIRST_STEP + 4)),
    }
    record = next(record for record in deleted if record.target_id == id_of(4))
    assert (record.via, record.actor_id, record.at, record.target_name) == ("server", None, UNTIL, "user4")
    assert json.loads(record.after or "") == {"reason": "never confirmed"}
    assert json.loads(record.before or "")["email"] == "user4@example.com"


async def test_a_confirmation_at_the_moment_of_the_end_comes_first_or_finds_no_account(
    store_url: str, store: Repositories, open_another: OpenStore
) -> None:
    """Nobody who has heard that the address is confirmed is deleted."""
    other = store if store_url.startswith("sqlite") else await open_another()
    for number in range(1, 21):
        await add_unconfirmed(store, number)

    async def confirm(number: int) -> int | None:
        try:
            await change_user(other, id_of(number), NOW + 1, email=f"user{number}@example.com")
        except NotFound:
            return None
        return number

    *confirmed, _ = await asyncio.gather(*map(confirm, range(20, 0, -1)), purge(store, FakeClock(UNTIL)))
    there = {f"user{number}" for number in confirmed if number is not None}
    assert set(await usernames(store)) == there
    assert await unconfirmed(store) == []


async def test_an_admin_who_can_not_sign_in_is_not_the_other_admin(store: Repositories) -> None:
    await add_user(store, new_user(1, role="admin"))
    await add_unconfirmed(store, 2, role="admin")
    with pytest.raises(LastAdmin):
        await change_user(store, id_of(1), NOW, role="customer")
    await change_user(store, id_of(2), NOW, email="user2@example.com")
    await change_user(store, id_of(1), NOW, role="customer")


@pytest.mark.parametrize("as_csv", [False, True])
async def test_an_export_has_nobody_who_has_not_confirmed(store: Repositories, as_csv: bool) -> None:
    await add_user(store, new_user(1))
    await add_unconfirmed(store, 2)
    await add_user(store, new_user(3, email="user3@example.com"))
    text = "".join([lines async for _, lines in export_pages(store.users, as_csv=as_csv)])
    assert [f"user{number}" in text for number in (1, 2, 3)] == [True, False, True]
