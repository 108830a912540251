"""Challenges of users in a store of a test, without mails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from server.challenges.errors import CodeInvalid, CodeRequired, LinkInvalid
from server.challenges.model import NewChallenge, Purpose
from server.challenges.service import Challenges
from server.database.driver import Transaction
from server.repositories import Repositories
from tests.accounts import challenges_on
from tests.clock import FakeClock
from tests.records import add_user, id_of, new_user

# So that nothing but the challenge itself refuses.
PLENTY: dict[str, int] = {"address_guesses_per_hour": 1_000_000, "all_guesses_per_hour": 3_600_000}
BROWSER = "b" * 43


@dataclass
class Made:
    """What a test needs: a store with users 1 and 2, who have verified userN@example.com."""

    store: Repositories
    clock: FakeClock
    challenges: Challenges

    async def make(self, purpose: Purpose, number: int = 1, *, mailed: bool = True, **fields: Any) -> NewChallenge:
        """A challenge of that user, in the store."""
        wanted = {"user_id": id_of(number), "email": address(number), "browser": BROWSER} | fields
        new = self.challenges.make(purpose, **wanted)

        async def unit(transaction: Transaction) -> bool:
            return await self.challenges.insert(transaction, new, mailed=mailed)

        assert await self.store.driver.write(unit)
        return new

    async def outcome(self, purpose: Purpose, **given: Any) -> str:
        """The id of the challenge that a look finds, or why it finds none."""
        try:
            return (await self.challenges.look(purpose, **({"address": "192.0.2.1"} | given))).id
        except LinkInvalid:
            return "link"
        except CodeInvalid:
            return "code"
        except CodeRequired:
            return "required"

    async def use(self, new: NewChallenge) -> bool:
        async def unit(transaction: Transaction) -> bool:
            return await self.challenges.use(transaction, new.challenge)

        return await self.store.driver.write(unit)

    async def end_all(self, number: int) -> None:
        async def unit(transaction: Transaction) -> None:
            await self.challenges.end_all(transaction, id_of(number))

        await self.store.driver.write(unit)


def address(number: int) -> str:
    return f"user{number}@example.com"


def other_than(code: str) -> str:
    """A wrong code, as a guesser would type it."""
    return ("3" if code[0] == "2" else "2") + code[1:]


async def made_on(store: Repositories, clock: FakeClock | None = None, **limits: int) -> Made:
    """With users, if there are none yet."""
    if await store.users.get_user(id_of(1)) is None:
        for number in (1, 2):
            await add_user(store, new_user(number, email=address(number), email_verified=True))
    clock = clock or FakeClock()
    return Made(store, clock, challenges_on(store, clock, **(limits or PLENTY)))
