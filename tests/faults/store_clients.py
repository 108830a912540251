"""Clients of a server whose store is in trouble: they check tokens, read, log in, refresh and make users all the time.

What was acknowledged is noted, and asked for when the trouble is over.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp

from tests.calling import DEADLINE_SECONDS

PASSWORD = "brown otters juggle turnips"
CLIENTS = 6


class Answer(NamedTuple):
    status: int
    body: dict[str, Any]
    retry_after: str | None
    # The first part of the request id, which each worker has for itself.
    worker: str
    seconds: float

    @property
    def told(self) -> str:
        """Status and code."""
        return f"{self.status} {self.body['code']}" if "code" in self.body else str(self.status)


class StoreClients:
    """`answers` counts what came for each kind of request; `slowest` is in seconds."""

    def __init__(self, address: str, session: aiohttp.ClientSession, admin_password: str) -> None:
        self._address = address
        self._session = session
        self._admin_password = admin_password
        self.answers: dict[str, Counter[str]] = {}
        self.slowest: dict[str, float] = {}
        self.without_retry_after: Counter[str] = Counter()
        # What has been acknowledged: ids of users, and the newest refresh token of each client.
        self.users: list[str] = []
        self.refresh_tokens: list[str] = []
        # Names that no earlier clients have given.
        self._name = f"user-{secrets.token_hex(4)}"
        self._number = 0
        self.token = ""

    @classmethod
    @asynccontextmanager
    async def of(cls, address: str, admin_password: str) -> AsyncIterator[StoreClients]:
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            yield cls(address, session, admin_password)

    def move_to(self, address: str) -> None:
        """Ask another server on the same store."""
        self._address = address

    async def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, token: str | None = None
    ) -> Answer:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        begun = time.monotonic()
        async with self._session.request(method, self._address + path, json=body, headers=headers) as response:
            text = await response.read()
            found: dict[str, Any] = await response.json(content_type=None) if text else {}
            worker = response.headers["X-Request-Id"].partition("-")[0]
            seconds = time.monotonic() - begun
            return Answer(response.status, found, response.headers.get("Retry-After"), worker, seconds)

    async def log_in(self) -> Answer:
        return await self.call("POST", "/login", {"username": "admin", "password": self._admin_password})

    async def begin(self) -> None:
        """Log in, and make what there has to be before the trouble."""
        answer = await self.log_in()
        assert answer.status == 200, answer
        self.token = answer.body["token"]
        for _ in range(3):
            assert (await self._make_user()).status == 201
        self.refresh_tokens = [(await self.log_in()).body["refresh_token"] for _ in range(CLIENTS)]

    async def _make_user(self) -> Answer:
        self._number += 1
        body = {"username": f"{self._name}-{self._number}", "name": "A user", "role": "customer", "password": PASSWORD}
        answer = await self.call("POST", "/users", body, self.token)
        if answer.status == 201:
            self.users.append(answer.body["user"]["id"])
        return answer

    async def ask_for(self, seconds: float) -> None:
        """All clients at once, until the time is over."""
        self.answers, self.slowest = {}, {}
        until = time.monotonic() + seconds
        await asyncio.gather(*(self._ask(number, until) for number in range(CLIENTS)), self._check(until))

    async def _check(self, until: float) -> None:
        """What needs no store, at an even pace."""
        while time.monotonic() < until:
            self._note("verify", await self.call("GET", "/verify", token=self.token))
            self._note("jwks", await self.call("GET", "/.well-known/jwks.json"))
            self._note("live", await self.call("GET", "/health/live"))
            await asyncio.sleep(0.01)

    async def _ask(self, number: int, until: float) -> None:
        while time.monotonic() < until:
            self._note("login", await self.log_in())
            answer = await self.call("POST", "/refresh", {"refresh_token": self.refresh_tokens[number]})
            if answer.status == 200:
                self.refresh_tokens[number] = answer.body["refresh_token"]
            self._note("refresh", answer)
            self._note("read", await self.call("GET", "/users?limit=5", token=self.token))
            self._note("create", await self._make_user())

    def _note(self, what: str, answer: Answer) -> None:
        self.answers.setdefault(what, Counter())[answer.told] += 1
        self.slowest[what] = max(self.slowest.get(what, 0.0), answer.seconds)
        if answer.status == 503 and not (answer.retry_after or "").isdigit():
            self.without_retry_after[what] += 1

    async def until_ready(self, status: int, workers: int = 1) -> tuple[float, dict[str, Any]]:
        """Until each worker answers so; the seconds that took, and the last body."""
        begun = time.monotonic()
        answered: set[str] = set()
        while True:
            answers = await asyncio.gather(*(self.call("GET", "/health/ready") for _ in range(2 * workers)))
            for answer in answers:
                answered = answered | {answer.worker} if answer.status == status else answered - {answer.worker}
            if len(answered) >= workers:
                return time.monotonic() - begun, answers[-1].body
            assert time.monotonic() - begun < DEADLINE_SECONDS, answers
            await asyncio.sleep(0.02)

    async def until_all_log_in(self, workers: int) -> float:
        """Until a login succeeds in each worker; the seconds that took."""
        begun = time.monotonic()
        answered: set[str] = set()
        while len(answered) < workers:
            answer = await self.log_in()
            if answer.status == 200:
                answered.add(answer.worker)
            assert time.monotonic() - begun < DEADLINE_SECONDS, answer
            await asyncio.sleep(0.02)
        return time.monotonic() - begun

    async def lost(self) -> list[str]:
        """What was acknowledged and is not there."""
        found = [
            f"user {user}"
            for user in self.users
            if (await self.call("GET", f"/users/{user}", token=self.token)).status != 200
        ]
        for token in self.refresh_tokens:
            answer = await self.call("POST", "/refresh", {"refresh_token": token})
            if answer.status != 200:
                found.append(f"session: {answer.told}")
        return found
