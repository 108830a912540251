from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from server.authentication.errors import TooManyAttempts
from server.emails.address import throttle_name
from server.repositories import Repositories, open_repositories
from server.users.transfer.importer import BATCH, ImportCounts, Refusal
from server.users.transfer.lines import Record
from tests.accounts import importer_on, throttle_on
from tests.clock import FakeClock
from tests.foreign_hashes import ARGON2
from tests.records import all_users, change_user, id_of

CREATED = "2024-05-06T07:08:09Z"


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Repositories]:
    opened = await open_repositories(store_url, serving=False)
    yield opened
    await opened.close()


def records(*rows: dict[str, Any]) -> list[Record]:
    return [Record(line, {"role": "customer"} | row) for line, row in enumerate(rows, 1)]


class Run:
    """What an import did and said."""

    def __init__(self, store: Repositories, clock: FakeClock, *, dry_run: bool = False) -> None:
        self.refusals: list[Refusal] = []
        self.batches = 0
        self._importer = importer_on(store, clock, dry_run=dry_run, refuse=self.refusals.append, advance=self._advance)

    def _advance(self) -> None:
        self.batches += 1

    async def over(self, given: Iterable[Record]) -> ImportCounts:
        await self._importer.run(given)
        return self._importer.counts


async def imported(
    store: Repositories, given: Iterable[Record], *, at: float = 0, dry_run: bool = False
) -> tuple[Run, ImportCounts]:
    clock = FakeClock()
    clock.advance(at)
    run = Run(store, clock, dry_run=dry_run)
    return run, await run.over(given)


async def test_what_can_be_taken_is_and_the_rest_has_a_reason(store: Repositories) -> None:
    given = records({"username": "a"}, {"username": "b", "role": "king"}, {"username": "c"})
    given.append(Record(9, {}, "damaged"))
    run, counts = await imported(store, given)
    assert counts == ImportCounts(imported=2, already_there=0, refused=2)
    assert run.refusals == [
        Refusal(2, "b", "there is no role 'king'; roles: customer, admin"),
        Refusal(9, None, "damaged"),
    ]
    assert {user.username for user in await all_users(store)} == {"a", "c"}


async def test_what_was_guessed_at_a_name_before_its_import_does_not_count_against_it(store: Repositories) -> None:
    """As with an account that is made alone; but at one that is there already the guesses stay."""
    clock = FakeClock()
    throttle = throttle_on(store, clock, account_guesses=10)
    await imported(store, records({"username": "there"}))
    for username in ("new", "néw", "there"):
        for _ in range(7):
            async with throttle.login_attempt(throttle_name(username), "192.0.2.1", None) as attempt:
                await attempt.failed()
            clock.advance(900)
    await imported(store, records({"username": "there"}, {"username": "New"}, {"username": "NÉW"}, {"username": "x"}))
    for username in ("new", "néw"):
        async with throttle.login_attempt(throttle_name(username), "192.0.2.1", None):
            pass
    with pytest.raises(TooManyAttempts):
        await throttle.login_attempt("there", "192.0.2.1", None).__aenter__()


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_dry_run_reports_the_same_and_changes_nothing(store: Repositories, dry_run: bool) -> None:
    await imported(store, records({"username": "there"}, {"username": "taken"}))
    before = await all_users(store)
    given = records(
        {"username": "there"},
        {"username": "TAKEN", "name": "x"},
        {"username": "new"},
        {"username": "New"},
        {"username": "first", "id": id_of(1)},
        {"username": "second", "id": id_of(1)},
    )
    run, counts = await imported(store, given, at=60, dry_run=dry_run)
    assert counts == ImportCounts(imported=2, already_there=1, refused=3)
    assert sorted(run.refusals, key=lambda refusal: refusal.line) == [
        Refusal(2, "TAKEN", "is there already, with another username, name; an import changes nobody"),
        Refusal(4, "New", "line 3 has this username, address or id already"),
        Refusal(6, "second", "line 5 has this username, address or id already"),
    ]
    assert len(await all_users(store)) == len(before) + (0 if dry_run else 2)


@pytest.mark.parametrize("dry_run", [True, False])
async def test_an_address_is_taken_by_one_account_of_the_file_and_the_store(store: Repositories, dry_run: bool) -> None:
    def verified(username: str, email: str) -> dict[str, str]:
        return {"username": username, "email": email, "email_verified": "true"}

    there = records(verified("there", "there@example.com"), {"username": "name@example.com"})
    await imported(store, there)
    given = records(
        verified("there", "there@example.com"),
        verified("a", "There@example.com"),
        verified("b", "name@example.com"),
        {"username": "THERE@example.com"},
        {"username": "there", "email": "there@example.com"},
        # Not verified, so it counts for nothing.
        {"username": "c", "email": "there@example.com"},
        {"username": "d", "email": "new@b\u00fccher.example"},
        verified("e", "new@xn--bcher-kva.example"),
        verified("f", "NEW@b\u00fccher.example"),
        {"username": "new@b\u00fccher.example"},
        verified("g@example.com", "g@example.com"),
    )
    run, counts = await imported(store, given, at=60, dry_run=dry_run)
    assert counts == ImportCounts(imported=4, already_there=1, refused=6)
    taken = "the username or the address belongs to another account; an import changes nobody"
    assert sorted(run.refusals, key=lambda refusal: refusal.line) == [
        Refusal(2, "a", "line 1 has this username, address or id already"),
        Refusal(3, "b", taken),
        Refusal(4, "THERE@example.com", "line 1 has this username, address or id already"),
        Refusal(5, "there", "line 1 has this username, address or id already"),
        Refusal(9, "f", "line 8 has this username, address or id already"),
        Refusal(10, "new@b\u00fccher.example", "line 8 has this username, address or id already"),
    ]
    for record in given[1:4]:
        run, _ = await imported(store, [record], at=120, dry_run=dry_run)
        assert [refusal.reason for refusal in run.refusals] == [taken]


@pytest.mark.parametrize(
    "row", [{"username": "lak"}, {"username": "lak", "created_at": CREATED}, {"username": "lak", "id": id_of(1)}]
)
async def test_a_second_run_finds_everybody_there_whatever_has_happened_since(
    store: Repositories, row: dict[str, str]
) -> None:
    given = records(row | {"password_hash": ARGON2["argon2id"]})
    assert (await imported(store, given))[1] == ImportCounts(imported=1)
    (user,) = await all_users(store)
    # As the first login does.
    assert await store.users.renew_password_hash(user.id, ARGON2["argon2id"], "renewed")
    run, counts = await imported(store, given, at=3600)
    assert (counts, run.refusals) == (ImportCounts(already_there=1), [])
    assert await all_users(store) == [user]
    credentials = await store.users.get_credentials(user.id)
    assert credentials is not None
    assert credentials.password_hash == "renewed"


async def test_an_account_that_was_changed_here_is_the_same_if_its_id_came_from_its_record(store: Repositories) -> None:
    given = records({"username": "lak"})
    await imported(store, given)
    (user,) = await all_users(store)
    await change_user(store, user.id, 1, name="Other", role="admin")
    assert (await imported(store, given, at=3600))[1] == ImportCounts(already_there=1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"username": "other"}, "the id is there already, with another username"),
        ({"username": "LAK"}, "the id is there already, with another username"),
        ({"name": "x", "role": "admin"}, "the id is there already, with another name, role"),
        ({"disabled": True}, "the id is there already, with another disabled"),
        ({"created_at": CREATED}, "the id is there already, with another created_at"),
        ({"id": id_of(2)}, "the username is taken by an account with another id"),
    ],
)
async def test_an_id_with_other_data_is_refused(store: Repositories, change: dict[str, Any], reason: str) -> None:
    row = {"username": "lak", "name": "lak", "id": id_of(1)}
    await imported(store, records(row))
    run, counts = await imported(store, records(row | change))
    assert counts == ImportCounts(refused=1)
    assert [refusal.reason for refusal in run.refusals] == [f"{reason}; an import changes nobody"]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"name": "x"}, "with another name"),
        ({"role": "admin", "disabled": True}, "with another role, disabled"),
        ({"created_at": CREATED}, "with another created_at"),
        ({"password_hash": ARGON2["argon2d"]}, "but from other data, such as another password_hash"),
    ],
)
async def test_a_record_that_was_corrected_is_told_from_one_of_somebody_else(
    store: Repositories, change: dict[str, Any], found: str
) -> None:
    row = {"username": "lak", "password_hash": ARGON2["argon2id"]}
    await imported(store, records(row))
    before = await store.users.find_credentials("lak")
    run, counts = await imported(store, records(row | change))
    assert counts == ImportCounts(refused=1)
    assert [refusal.reason for refusal in run.refusals] == [f"is there already, {found}; an import changes nobody"]
    assert await store.users.find_credentials("lak") == before


async def test_accounts_that_are_counted_are_told_by_their_number(store: Repositories) -> None:
    rows = [{"username": "lak", "role": "customer"}, {"username": "LAK", "role": "customer"}, {"username": "x"}]
    run, _ = await imported(store, [Record(1, row, user=number) for number, row in enumerate(rows, 1)])
    assert [(refusal.line, refusal.user) for refusal in run.refusals] == [(1, 2), (1, 3)]
    assert run.refusals[0].reason == "user 1 has this username, address or id already"


async def test_an_interrupted_run_is_taken_up_without_doubling_anybody(store: Repositories) -> None:
    given = records(*({"username": f"user{number}"} for number in range(3 * BATCH + 7)))

    def broken() -> Iterable[Record]:
        yield from given[: 2 * BATCH + 3]
        raise KeyboardInterrupt

    run = Run(store, FakeClock())
    with pytest.raises(KeyboardInterrupt):
        await run.over(broken())
    assert run.batches == 2
    assert len(await all_users(store)) == 2 * BATCH
    _, counts = await imported(store, given, at=60)
    assert counts == ImportCounts(imported=BATCH + 7, already_there=2 * BATCH)
    assert len(await all_users(store)) == len(given)


async def test_a_row_that_was_refused_does_not_take_the_name_from_a_later_one(store: Repositories) -> None:
    given = records({"username": "lak", "role": "king"}, {"username": "lak"}, {"username": "lak"})
    run, counts = await imported(store, given)
    assert counts == ImportCounts(imported=1, refused=2)
    assert [refusal.line for refusal in run.refusals] == [1, 3]


@pytest.mark.parametrize(("username", "shown"), [("x" * 129, "x" * 128 + "…"), (5, None), (["x"], None)])
async def test_a_report_shows_the_beginning_of_a_username_if_it_is_one(
    store: Repositories, username: object, shown: str | None
) -> None:
    run, _ = await imported(store, records({"username": username}))
    assert [refusal.username for refusal in run.refusals] == [shown]
