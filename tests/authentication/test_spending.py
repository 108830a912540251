"""Budgets that pay at once: of looks at mailed codes, and of mails that anybody may ask for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import pytest

from server.authentication.errors import TooManyAttempts
from server.authentication.throttling import Throttle
from server.core.errors import Overloaded
from server.database.driver import Transaction
from server.repositories import Repositories
from tests.accounts import throttle_on
from tests.clock import FakeClock
from tests.stores import OpenStore

LIMITS = {
    "address_guesses_per_hour": 3,
    "all_guesses_per_hour": 6,
    "account_mails_per_hour": 2,
    "address_mails_per_hour": 4,
    "all_mails_per_hour": 8,
}
HERE, THERE = "192.0.2.1", "192.0.2.2"


class Limits:
    """Calls to a Throttle, each in a transaction of its own."""

    def __init__(self, store: Repositories, clock: FakeClock) -> None:
        self._driver = store.driver
        self.throttle: Throttle = throttle_on(store, clock, **LIMITS)

    async def look(self, address: str | None, *, link: bool = False) -> int:
        """0, or after how many seconds to come again."""

        async def unit(transaction: Transaction) -> None:
            await self.throttle.spend_look(transaction, address, link=link)

        try:
            await self._driver.write(unit)
        except TooManyAttempts as refused:
            return refused.retry_after_seconds
        return 0

    async def refund(self, address: str | None, *, link: bool = False) -> None:
        async def unit(transaction: Transaction) -> None:
            await self.throttle.refund_look(transaction, address, link=link)

        await self._driver.write(unit)

    async def ask(self, address: str | None, *, invited: bool = False) -> int:
        async def unit(transaction: Transaction) -> None:
            await self.throttle.spend_mail_request(transaction, address, invited=invited)

        try:
            await self._driver.write(unit)
        except TooManyAttempts as refused:
            return refused.retry_after_seconds
        return 0

    async def allowed(self, recipient: str, user_id: str | None = None) -> bool:
        async def unit(transaction: Transaction) -> bool:
            return await self.throttle.confirmation_allowed(transaction, recipient, user_id)

        return await self._driver.write(unit)

    async def recovery_allowed(self, recipient: str, user_id: str) -> bool:
        async def unit(transaction: Transaction) -> bool:
            return await self.throttle.recovery_allowed(transaction, recipient, user_id)

        return await self._driver.write(unit)

    async def log_in(self, address: str) -> bool:
        """Whether a wrong password from there is looked at."""
        try:
            async with self.throttle.login_attempt(f"lak at {address}", address, None) as attempt:
                await attempt.failed()
        except (TooManyAttempts, Overloaded):
            return False
        return True


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def limits(store: Repositories, clock: FakeClock) -> Limits:
    return Limits(store, clock)


async def test_a_client_looks_at_so_many_codes_an_hour(limits: Limits, clock: FakeClock) -> None:
    assert [await limits.look(HERE) for _ in range(4)] == [0, 0, 0, 1200]
    clock.advance(1199)
    assert await limits.look(HERE) == 1
    clock.advance(1)
    assert [await limits.look(HERE) for _ in range(2)] == [0, 1200]
    assert await limits.look(THERE) == 0


async def test_all_together_look_at_so_many_and_a_link_is_not_held_up(limits: Limits) -> None:
    """Strangers who guess codes keep nobody out who has the mail."""
    addresses = [f"192.0.2.{n}" for n in range(10)]
    assert [await limits.look(address) for address in addresses] == [0] * 6 + [600] * 4
    assert [await limits.look("198.51.100.1", link=True) for _ in range(4)] == [0, 0, 0, 1200]


async def test_whoever_is_refused_pays_nothing(limits: Limits) -> None:
    for _ in range(20):
        await limits.look(HERE)
    # All together have six, of which three are left.
    assert [await limits.look(THERE) for _ in range(3)] == [0, 0, 0]
    assert await limits.look("192.0.2.3") == 600


@pytest.mark.parametrize("link", [False, True])
async def test_a_right_one_costs_nothing(limits: Limits, link: bool) -> None:
    for _ in range(10):
        assert await limits.look(HERE, link=link) == 0
        await limits.refund(HERE, link=link)
    assert [await limits.look(HERE, link=link) for _ in range(4)] == [0, 0, 0, 1200]


async def test_a_refund_after_the_budget_has_filled_adds_nothing(limits: Limits, clock: FakeClock) -> None:
    await limits.look(HERE)
    clock.advance(7200)
    await limits.refund(HERE)
    assert [await limits.look(HERE) for _ in range(4)] == [0, 0, 0, 1200]


async def test_codes_mails_and_passwords_do_not_use_up_each_other(limits: Limits) -> None:
    while await limits.look(HERE) == 0:
        pass
    while await limits.ask(HERE) == 0:
        pass
    assert [await limits.log_in(HERE) for _ in range(4)] == [True, True, True, False]
    assert [await limits.look(THERE) for _ in range(3)] == [0, 0, 0]
    assert await limits.ask(THERE) == 0
    assert await limits.allowed("lak@example.com", "lak")


async def test_passwords_do_not_use_up_codes_and_mails(limits: Limits) -> None:
    while await limits.log_in(HERE):
        pass
    assert await limits.look(HERE) == await limits.ask(HERE) == 0


async def test_a_client_and_all_ask_for_so_many_mails_an_hour(limits: Limits, clock: FakeClock) -> None:
    assert [await limits.ask(HERE) for _ in range(5)] == [0, 0, 0, 0, 900]
    assert [await limits.ask(THERE) for _ in range(5)] == [0, 0, 0, 0, 900]
    assert await limits.ask("192.0.2.3") == 450
    clock.advance(450)
    assert await limits.ask("192.0.2.3") == 0


async def test_who_is_invited_pays_as_a_client_and_strangers_keep_nobody_out_who_is(limits: Limits) -> None:
    assert [await limits.ask(address) for address in [HERE, THERE] * 4] == [0] * 8
    assert await limits.ask("192.0.2.3") == 450
    assert [await limits.ask("192.0.2.3", invited=True) for _ in range(5)] == [0, 0, 0, 0, 900]


@pytest.mark.parametrize("first", ["confirmation", "recovery"])
async def test_mails_to_confirm_and_to_recover_keep_back_none_of_each_other(limits: Limits, first: str) -> None:
    """CWE-645: nobody keeps the mail for a new password from somebody by giving that address again and again."""
    both: list[Callable[[str, str], Awaitable[bool]]] = [limits.allowed, limits.recovery_allowed]
    used_up, left = both if first == "confirmation" else reversed(both)
    assert [await used_up("lak@example.com", "lak") for _ in range(3)] == [True, True, False]
    assert [await left("lak@example.com", "lak") for _ in range(3)] == [True, True, False]


async def test_of_recovery_an_account_and_an_address_get_so_many(limits: Limits) -> None:
    assert [await limits.recovery_allowed(f"{n}@example.com", "lak") for n in range(3)] == [True, True, False]
    assert [await limits.recovery_allowed("0@example.com", user) for user in ("a", "b")] == [True, False]


@pytest.mark.parametrize(
    ("others", "same"),
    [
        (("lak+1@example.com", "lak+2@example.com"), True),
        (("lak@example.com", "lak+a+b@example.com"), True),
        (("lak+@example.com", "lak+1@example.com"), True),
        (("lak+1@example.com", "lak+1@mail.example.com"), False),
        (("lak-1@example.com", "lak-2@example.com"), False),
        (("lak1+x@example.com", "lak2+x@example.com"), False),
    ],
)
async def test_addresses_of_one_mailbox_share_its_mails(limits: Limits, others: tuple[str, str], same: bool) -> None:
    """RFC 5233: who counts up behind the + floods nobody (OWASP Forgot Password Cheat Sheet)."""
    one, another = others
    assert [await limits.allowed(one) for _ in range(3)] == [True, True, False]
    assert [await limits.recovery_allowed(one, f"{n}") for n in range(3)] == [True, True, False]
    assert await limits.allowed(another) is not same
    assert await limits.recovery_allowed(another, "lak") is not same


async def test_an_address_gets_so_many_mails_an_hour_whoever_they_are_about(limits: Limits, clock: FakeClock) -> None:
    assert [await limits.allowed("lak@example.com", user) for user in ("a", "b", None)] == [True, True, False]
    assert await limits.allowed("sahan@example.com")
    clock.advance(1799.999)
    assert not await limits.allowed("lak@example.com")
    clock.advance(0.001)
    assert [await limits.allowed("lak@example.com") for _ in range(2)] == [True, False]


async def test_about_an_account_so_many_mails_go_out_wherever_to(limits: Limits) -> None:
    assert [await limits.allowed(f"{n}@example.com", "lak") for n in range(4)] == [True, True, False, False]
    # What was refused is not counted for the address.
    assert [await limits.allowed("3@example.com") for _ in range(3)] == [True, True, False]


async def test_a_refusal_by_the_address_is_not_counted_for_the_account(limits: Limits) -> None:
    while await limits.allowed("full@example.com"):
        pass
    assert [await limits.allowed("full@example.com", "lak") for _ in range(3)] == [False] * 3
    assert [await limits.allowed(f"{n}@example.com", "lak") for n in range(3)] == [True, True, False]


@pytest.mark.parametrize("address", [None, "", "somewhere"])
async def test_clients_without_an_address_share_a_budget(limits: Limits, address: str | None) -> None:
    assert [await limits.look(address) for _ in range(4)] == [0, 0, 0, 1200]
    assert [await limits.ask(address) for _ in range(5)] == [0, 0, 0, 0, 900]


async def test_at_two_nodes_no_more_pass_than_at_one(
    store: Repositories, open_another: OpenStore, clock: FakeClock
) -> None:
    nodes = [Limits(store, clock), Limits(await open_another(), clock)]
    looks = await asyncio.gather(*(nodes[n % 2].look(HERE) for n in range(50)))
    asked = await asyncio.gather(*(nodes[n % 2].ask(HERE) for n in range(50)))
    allowed = await asyncio.gather(*(nodes[n % 2].allowed("lak@example.com", f"{n % 5}") for n in range(50)))
    assert Counter(looks) == {0: 3, 1200: 47}
    assert Counter(asked) == {0: 4, 900: 46}
    assert Counter(allowed) == {True: 2, False: 48}


async def test_a_clock_that_was_far_ahead_shuts_nobody_out_when_it_is_right_again(
    limits: Limits, clock: FakeClock
) -> None:
    clock.advance(365 * 86_400)
    spent: Sequence[int | bool] = [
        *[await limits.look(HERE) for _ in range(3)],
        *[await limits.ask(HERE) for _ in range(4)],
        *[not await limits.allowed("lak@example.com", "lak") for _ in range(2)],
    ]
    assert not any(spent)
    clock.set_wall(-365 * 86_400)
    assert await limits.look(HERE) == await limits.ask(HERE) == 0
    assert await limits.allowed("lak@example.com", "lak")
