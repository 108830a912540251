"""Clients that write as fast as they are answered, and remember what was acknowledged, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tests.process.clients import Clients, until
from tests.running import PASSWORD

ROLE = "customer"
REFRESHES = 3


@dataclass
class Acknowledged:
    """What the clients were told is done."""

    users: set[str] = field(default_factory=set)
    # The latest refresh token of each session that goes on.
    living: dict[int, str] = field(default_factory=dict)
    # Access and refresh token of each session that was ended.
    ended: list[tuple[str, str]] = field(default_factory=list)
    answers: int = 0


class Writers(Clients):
    """Clients that make users, log in, refresh and log out, and remember what they were told."""

    def __init__(self, address: str, admin_token: str) -> None:
        super().__init__([address])
        self.admin_token = admin_token
        self.known = Acknowledged()
        self._numbers = iter(range(1_000_000))

    async def _one_user(self) -> None:
        number = next(self._numbers)
        name = f"user{number}"
        user = {"username": name, "name": name, "role": ROLE, "password": PASSWORD}
        answer = await self.until_answered("POST", "/users", user, self.admin_token)
        # The user may have been made by a request that was cut off.
        assert answer.status in {201, 409}, answer
        self.known.users.add(name)
        answer = await self.until_answered("POST", "/login", {"username": name, "password": PASSWORD})
        assert answer.status == 200, answer
        self.known.living[number] = answer.body["refresh_token"]
        for _ in range(REFRESHES):
            body = {"refresh_token": self.known.living[number]}
            # A refresh that was cut off is repeated with the same token (docs/sessions.md).
            answer = await self.until_answered("POST", "/refresh", body)
            assert answer.status == 200, answer
            self.known.living[number] = answer.body["refresh_token"]
            self.known.answers += 1
        if number % 2:
            told = await self.until_answered("POST", "/logout", token=answer.body["token"])
            # It may have been done by a request that was cut off.
            assert told.status in {204, 401}, told
            self.known.ended.append((answer.body["token"], self.known.living.pop(number)))
        self.known.answers += 3

    @contextlib.asynccontextmanager
    async def writing(self, count: int) -> AsyncIterator[None]:
        """So many clients write during the block. At its end each finishes what it has begun."""
        over = False

        async def write() -> None:
            while not over:
                await self._one_user()

        writers = [asyncio.create_task(write()) for _ in range(count)]
        try:
            yield
        finally:
            over = True
            await asyncio.gather(*writers)

    async def some_answers(self, count: int = 20) -> None:
        """Wait until so much more was acknowledged."""
        wanted = self.known.answers + count
        await until(lambda: self.known.answers >= wanted)

    async def back_after(self, begun: float) -> float:
        """The seconds from `begun` until a write is acknowledged: a login, which writes a session."""
        await self.until_answered("POST", "/login", {"username": "user0", "password": PASSWORD})
        return time.monotonic() - begun

    async def require_nothing_lost(self) -> None:
        """All users are there, sessions that go on go on, and what was ended is refused."""
        found = set()
        query = "/users?limit=200"
        while query:
            page = await self.until_answered("GET", query, token=self.admin_token)
            assert page.status == 200, page
            found |= {user["username"] for user in page.body["users"]}
            cursor = page.body.get("next_cursor")
            query = f"/users?limit=200&cursor={cursor}" if cursor else ""
        assert self.known.users <= found
        for number, refresh_token in self.known.living.items():
            answer = await self.until_answered("POST", "/refresh", {"refresh_token": refresh_token})
            assert answer.status == 200, (number, answer)
        latest = [token for token, _ in self.known.ended[-20:]]
        for token, refresh_token in self.known.ended:
            # Each worker knows of the latest ones within a second, and of all others by now.
            while (told := await self.until_answered("GET", "/me", token=token)).status == 200:
                assert token in latest
            assert (told.status, told.body["code"]) == (401, "token_revoked")
            told = await self.until_answered("POST", "/refresh", {"refresh_token": refresh_token})
            assert told.status == 401
