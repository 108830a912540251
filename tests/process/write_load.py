"""Clients that write as fast as they are answered, and remember what was acknowledged, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.calling import DEADLINE_SECONDS
from tests.running import PASSWORD

ROLE = "customer"
REFRESHES = 3
_CUT_OFF = (aiohttp.ClientError, ConnectionError, TimeoutError)
# What a server answers that can't do it now: the client comes again.
_LATER = {429, 503}


@dataclass
class Acknowledged:
    """What the clients were told is done."""

    users: set[str] = field(default_factory=set)
    # The latest refresh token of each session that goes on.
    living: dict[int, str] = field(default_factory=dict)
    # Access and refresh token of each session that was ended.
    ended: list[tuple[str, str]] = field(default_factory=list)
    answers: int = 0


class Clients:
    """Calls one address with a new connection for each request, so that any worker may get it."""

    def __init__(self, address: str, admin_token: str) -> None:
        self.address = address
        self.admin_token = admin_token
        self.known = Acknowledged()
        self._session: aiohttp.ClientSession | None = None
        self._numbers = iter(range(1_000_000))

    async def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, token: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """The answer; (0, {}) if there was none, so that nobody knows whether it was done."""
        assert self._session is not None
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            async with self._session.request(method, self.address + path, json=body, headers=headers) as response:
                text = await response.read()
                found: dict[str, Any] = await response.json(content_type=None) if text else {}
                return response.status, found
        except _CUT_OFF:
            return 0, {}

    async def until_answered(
        self, method: str, path: str, body: dict[str, Any] | None = None, token: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """The first answer that is one."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            status, found = await self.call(method, path, body, token)
            if status not in {0, *_LATER}:
                return status, found
            assert time.monotonic() < deadline, (method, path, status, found)
            await asyncio.sleep(0.01)

    async def _one_user(self) -> None:
        number = next(self._numbers)
        name = f"user{number}"
        user = {"username": name, "name": name, "role": ROLE, "password": PASSWORD}
        status, answer = await self.until_answered("POST", "/users", user, self.admin_token)
        # The user may have been made by a request that was cut off.
        assert status in {201, 409}, answer
        self.known.users.add(name)
        status, answer = await self.until_answered("POST", "/login", {"username": name, "password": PASSWORD})
        assert status == 200, answer
        self.known.living[number] = answer["refresh_token"]
        for _ in range(REFRESHES):
            body = {"refresh_token": self.known.living[number]}
            # A refresh that was cut off is repeated with the same token (docs/sessions.md).
            status, answer = await self.until_answered("POST", "/refresh", body)
            assert status == 200, answer
            self.known.living[number] = answer["refresh_token"]
            self.known.answers += 1
        if number % 2:
            status, told = await self.until_answered("POST", "/logout", token=answer["token"])
            assert status in {204, 401}, told
            self.known.ended.append((answer["token"], self.known.living.pop(number)))
        self.known.answers += 3

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        timeout = aiohttp.ClientTimeout(total=10)
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as self._session:
            yield

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
            status, page = await self.until_answered("GET", query, token=self.admin_token)
            assert status == 200, page
            found |= {user["username"] for user in page["users"]}
            query = f"/users?limit=200&cursor={page['next_cursor']}" if page.get("next_cursor") else ""
        assert self.known.users <= found
        for number, refresh_token in self.known.living.items():
            status, answer = await self.until_answered("POST", "/refresh", {"refresh_token": refresh_token})
            assert status == 200, (number, answer)
        latest = [token for token, _ in self.known.ended[-20:]]
        for token, refresh_token in self.known.ended:
            # Each worker knows of the latest ones within a second, and of all others by now.
            while (told := await self.until_answered("GET", "/me", token=token))[0] == 200:
                assert token in latest
            assert (told[0], told[1]["code"]) == (401, "token_revoked")
            assert (await self.until_answered("POST", "/refresh", {"refresh_token": refresh_token}))[0] == 401


async def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)
