"""Addresses in the store: whose they are, on both databases."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from server.core.errors import NotFound
from server.database.driver import Transaction
from server.emails.errors import EmailNotVerified, EmailTaken
from server.emails.model import Email
from server.emails.service import Emails
from server.repositories import Repositories, open_repositories
from server.users.errors import UsernameTaken
from server.users.model import UserFilter
from server.users.rows import INSERTED, inserted_values
from tests.accounts import no_notices
from tests.clock import FakeClock
from tests.records import NOW, add_user, change_user, delete_user, id_of, import_users, new_user

ADDRESS = "lak@example.com"


def emails_on(store: Repositories, now: int = NOW) -> Emails:
    clock = FakeClock(now)
    return Emails(
        driver=store.driver,
        users=store.users,
        emails=store.emails,
        audit=store.audit,
        notices=no_notices(store, clock),
        clock=clock,
    )


async def put(store: Repositories, number: int, email: str, verified_at: int | None, now: int = NOW) -> bool:
    async def unit(transaction: Transaction) -> bool:
        await store.emails.lock(transaction)
        return await store.emails.put(transaction, id_of(number), email, verified_at, now)

    return await store.driver.write(unit)


async def shown(store: Repositories, number: int) -> list[tuple[str, bool, bool]]:
    return [(one.email, one.verified, one.primary) for one in await store.emails.list_emails(id_of(number))]


async def test_a_new_account_has_its_address(store: Repositories) -> None:
    made = await add_user(store, new_user(1, email="Lak@example.com", email_verified=True))
    assert (made.email, made.email_verified_at) == ("Lak@example.com", NOW)
    assert await store.users.get_user(made.id) == made
    (email,) = await store.emails.list_emails(made.id)
    assert email == Email(email.id, made.id, "Lak@example.com", NOW, NOW, True)
    found = await store.users.find_credentials("LAK@EXAMPLE.com")
    assert found is not None
    assert found.user == made


async def test_an_address_counts_once_it_is_verified(store: Repositories) -> None:
    for number in (1, 2):
        made = await add_user(store, new_user(number, email=ADDRESS))
        assert (made.email, made.email_verified_at) == (ADDRESS, None)
    assert await store.users.find_credentials(ADDRESS) is None
    # Neither the username of somebody else nor the verified address of a third one is in its way.
    await add_user(store, new_user(3, username=ADDRESS))
    assert await put(store, 1, ADDRESS, NOW) is False
    assert await shown(store, 1) == [(ADDRESS, False, True)]
    await delete_user(store, id_of(3), NOW)
    assert await put(store, 1, ADDRESS, NOW) is True
    assert await put(store, 2, ADDRESS, NOW) is False
    assert await shown(store, 2) == [(ADDRESS, False, True)]


@pytest.mark.parametrize("spelling", ["LAK@bücher.example", "lak@XN--bcher-kva.example"])
async def test_of_a_username_and_an_address_of_others_the_first_stands(store: Repositories, spelling: str) -> None:
    address = "lak@bücher.example"
    await add_user(store, new_user(1, username=spelling))
    for change in ({"email": address}, {"email": address, "name": "New"}):
        await add_user(store, new_user(2))
        with pytest.raises(EmailTaken):
            await change_user(store, id_of(2), NOW + 1, **change)
        assert await store.users.get_user(id_of(2)) == new_user(2).user
        await delete_user(store, id_of(2), NOW)
    with pytest.raises(EmailTaken):
        await add_user(store, new_user(3, email=address, email_verified=True))
    # Its own user may have both.
    changed = await change_user(store, id_of(1), NOW + 1, email=address)
    assert changed.email == address
    # And the other way round.
    await change_user(store, id_of(1), NOW + 2, username="other")
    with pytest.raises(UsernameTaken):
        await add_user(store, new_user(4, username=spelling))
    await add_user(store, new_user(5))
    with pytest.raises(UsernameTaken):
        await change_user(store, id_of(5), NOW + 3, username=spelling, name="New")
    assert await store.users.get_user(id_of(5)) == new_user(5).user
    # When it is given up, it is free.
    await change_user(store, id_of(1), NOW + 4, email=None)
    assert (await change_user(store, id_of(5), NOW + 5, username=spelling)).username == spelling


async def test_a_program_of_the_previous_version_gives_no_username_that_is_an_address(store: Repositories) -> None:
    """It writes the columns of its time, and knows nothing of addresses; the database passes over the row."""
    await add_user(store, new_user(1, email="lak@bücher.example", email_verified=True))
    await add_user(store, new_user(2))
    columns = [column for column in INSERTED if not column.startswith("email")]
    places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    insert = f"INSERT INTO users ({', '.join(columns)}) VALUES ({places}) ON CONFLICT DO NOTHING RETURNING id"  # noqa: S608
    rename = "UPDATE users SET username = $1, username_key = $2 WHERE id = $3 RETURNING id"
    for taken in ("Lak@bücher.example", "lak@xn--bcher-kva.example"):
        new = new_user(3, username=taken)
        values = dict(zip(INSERTED, inserted_values(new), strict=True))
        assert not await store.driver.write_one(insert, *(values[column] for column in columns))
        assert not await store.driver.write_one(rename, taken, taken.lower(), id_of(2))
        # The user whose address it is may have it as the username.
        assert await store.driver.write_one(rename, taken, taken.lower(), id_of(1))
    free = dict(zip(INSERTED, inserted_values(new_user(3, username="lak@other.example")), strict=True))
    assert await store.driver.write_one(insert, *(free[column] for column in columns))
    await delete_user(store, id_of(1), NOW)
    assert await store.driver.write_one(rename, "lak@bücher.example", "lak@bücher.example", id_of(2))
    # What it has made can be given an address.
    assert (await change_user(store, id_of(3), NOW, email="new@example.com")).email == "new@example.com"


async def test_sqlite_looks_for_a_username_among_the_addresses_by_indexes(tmp_path: Path) -> None:
    """Else each new account would read the addresses of all."""
    store = await open_repositories(f"sqlite:///{tmp_path}/watchword.db", serving=False)
    triggers = await store.driver.read("SELECT sql FROM sqlite_schema WHERE name LIKE 'username_of_%'")
    asked = [sql for row in triggers for sql in re.findall(r"SELECT 1 FROM emails [^)]*", row["sql"])]
    assert len(asked) == 4
    for sql in asked:
        question = sql.replace("new.username_key", "$1").replace("new.id", "$2")
        plan = await store.driver.read(f"EXPLAIN QUERY PLAN {question}", "lak@example.com", id_of(1))
        assert [row["detail"][:26] for row in plan] == ["SEARCH emails USING INDEX "], question
    await store.close()


async def test_another_primary_address_replaces_the_one_before(store: Repositories) -> None:
    await add_user(store, new_user(1, email="old@example.com"))
    await put(store, 1, "second@example.com", NOW, NOW + 1)
    (old, _) = await store.emails.list_emails(id_of(1))
    # The same address in other letters keeps its row; by an admin's decision it is verified.
    await change_user(store, id_of(1), NOW + 2, email="Old@example.com")
    assert await shown(store, 1) == [("Old@example.com", True, True), ("second@example.com", True, False)]
    await change_user(store, id_of(1), NOW + 3, email="second@example.com")
    assert await shown(store, 1) == [("second@example.com", True, True)]
    await change_user(store, id_of(1), NOW + 4, email="new@example.com")
    assert await shown(store, 1) == [("new@example.com", True, True)]
    user = await store.users.get_user(id_of(1))
    await change_user(store, id_of(1), NOW + 5, email="new@example.com")
    assert await store.users.get_user(id_of(1)) == user
    await change_user(store, id_of(1), NOW + 6, email=None)
    assert await shown(store, 1) == []
    await change_user(store, id_of(1), NOW + 7, email=None)
    events = [record.event for record in await store.audit.records_from(1, 100)]
    assert events == ["user_created", *["user_changed"] * 4]
    assert old.email == "old@example.com"


async def test_users_choose_and_remove_their_addresses(store: Repositories) -> None:
    await add_user(store, new_user(1, email="first@example.com", email_verified=True))
    await put(store, 1, "second@example.com", NOW + 1, NOW + 1)
    await put(store, 1, "unverified@example.com", None, NOW + 2)
    await add_user(store, new_user(2, email="other@example.com", email_verified=True))
    emails = emails_on(store, NOW + 10)
    first, second, unverified = await store.emails.list_emails(id_of(1))
    (other,) = await store.emails.list_emails(id_of(2))
    for wrong in (other.id, id_of(99)):
        with pytest.raises(NotFound):
            await emails.make_primary(id_of(1), wrong)
        with pytest.raises(NotFound):
            await emails.remove(id_of(1), wrong)
    with pytest.raises(EmailNotVerified):
        await emails.make_primary(id_of(1), unverified.id)
    await emails.make_primary(id_of(1), second.id)
    await emails.make_primary(id_of(1), second.id)
    user = await store.users.get_user(id_of(1))
    assert user is not None
    assert (user.email, user.email_verified_at, user.updated_at) == ("second@example.com", NOW + 1, NOW + 10)
    # After the primary one, another verified one is it; then none.
    await emails.remove(id_of(1), second.id)
    assert await shown(store, 1) == [("first@example.com", True, True), ("unverified@example.com", False, False)]
    await emails.remove(id_of(1), first.id)
    assert await shown(store, 1) == [("unverified@example.com", False, False)]
    await emails.remove(id_of(1), unverified.id)
    user = await store.users.get_user(id_of(1))
    assert user is not None
    assert (user.email, user.email_verified_at) == (None, None)
    assert await store.users.find_credentials("first@example.com") is None
    records = [(one.event, one.before, one.after) for one in await store.audit.records_from(3, 100)]
    assert records == [
        ("email_made_primary", '{"primary":"first@example.com"}', '{"primary":"second@example.com"}'),
        (
            "email_removed",
            '{"email":"second@example.com","verified":true,"primary":"second@example.com"}',
            '{"primary":"first@example.com"}',
        ),
        (
            "email_removed",
            '{"email":"first@example.com","verified":true,"primary":"first@example.com"}',
            '{"primary":null}',
        ),
        ("email_removed", '{"email":"unverified@example.com","verified":false,"primary":null}', '{"primary":null}'),
    ]


async def test_addresses_go_with_their_user(store: Repositories) -> None:
    await add_user(store, new_user(1, email=ADDRESS, email_verified=True))
    await delete_user(store, id_of(1), NOW)
    assert await store.emails.list_emails(id_of(1)) == []
    await add_user(store, new_user(2, email=ADDRESS, email_verified=True))


async def test_of_many_accounts_those_with_free_names_are_made(store: Repositories) -> None:
    await add_user(store, new_user(1, username="name@example.com"))
    await add_user(store, new_user(2, email="address@example.com", email_verified=True))
    accounts = [
        new_user(11, email="Name@example.com", email_verified=True),
        new_user(12, email="Address@example.com", email_verified=True),
        new_user(13, username="Address@example.com"),
        # Not verified, so they count for nothing.
        new_user(14, email="name@example.com"),
        new_user(15, email="address@example.com"),
        # Free, and its own.
        new_user(16, username="free@example.com", email="free@example.com", email_verified=True),
        # In the way of each other: the first is made.
        new_user(17, username="twice@example.com"),
        new_user(18, email="twice@example.com", email_verified=True),
        new_user(19, email="both@example.com", email_verified=True),
        new_user(20, username="both@example.com"),
        new_user(21, email="same@example.com", email_verified=True),
        new_user(22, email="same@example.com", email_verified=True),
    ]
    expected = [id_of(1), id_of(2), id_of(2), None, None, None, None, id_of(17), None, id_of(19), None, id_of(21)]
    holders = [None if user is None else user.id for user in await import_users(store, accounts, NOW)]
    assert holders == expected
    made = {user.id for user in await store.users.list_users(UserFilter(limit=100))}
    assert made == {id_of(1), id_of(2), *(id_of(10 + n) for n, one in enumerate(expected, 1) if one is None)}
    assert await shown(store, 19) == [("both@example.com", True, True)]


@pytest.mark.parametrize("text", ["lak@exam", "LAK@EXAMPLE.COM", "bücher.ex"])
async def test_a_search_finds_addresses(store: Repositories, text: str) -> None:
    await add_user(store, new_user(1, email="Lak@example.com", name="\ufdfa" * 200))
    await add_user(store, new_user(2))
    await change_user(store, id_of(2), NOW, email="someone@bücher.example")
    wanted = UserFilter(limit=10, text=text)
    found = [user.id for user in await store.users.list_users(wanted)]
    assert found == [id_of(2 if text == "bücher.ex" else 1)]
    for number in (1, 2):
        await change_user(store, id_of(number), NOW + 1, email=None)
    assert await store.users.list_users(wanted) == []
