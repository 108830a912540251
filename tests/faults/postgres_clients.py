"""Clients that use all nodes while something is done to the database, and note what they are answered and when."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.calling import DEADLINE_SECONDS
from tests.faults.postgres_site import Node
from tests.running import PASSWORD

# Far more than any answer may take. Who waits longer waits for ever.
HANGS_SECONDS = 20.0
# What is answered from memory, whatever the store does.
FROM_MEMORY = {"verify": 204, "jwks": 200, "live": 200}
_CALLS = {
    "verify": ("GET", "/verify"),
    "jwks": ("GET", "/.well-known/jwks.json"),
    "live": ("GET", "/health/live"),
    "ready": ("GET", "/health/ready"),
    "read": ("GET", "/users"),
    "write": ("PATCH", "/me"),
    "login": ("POST", "/login"),
    "create": ("POST", "/users"),
    "refresh": ("POST", "/refresh"),
    "logout": ("POST", "/logout"),
}


@dataclass
class Answers:
    """What clients of one kind got, and how long they waited."""

    statuses: Counter[int] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    # A 503 without a time to come again.
    without_retry_after: int = 0

    @property
    def longest(self) -> float:
        return max(self.seconds, default=0.0)


@dataclass(frozen=True)
class Told:
    """One answer; the status is 0 if there was none."""

    status: int
    body: dict[str, Any]


class Clients:
    """Each request has a connection of its own, so all workers are reached."""

    def __init__(self, nodes: list[Node], http: aiohttp.ClientSession, prefix: str) -> None:
        self._prefix = prefix
        self._nodes = nodes
        self._http = http
        self.kinds: dict[str, Answers] = {}
        self._over = False
        self._numbers = itertools.count()
        # What was acknowledged, and what was asked for.
        self.made: set[str] = set()
        self.asked: set[str] = set()
        self.chains: list[str] = []

    def forget(self) -> dict[str, Answers]:
        """The answers to what is asked from now on."""
        self.kinds = {}
        return self.kinds

    async def some(self, kind: str) -> None:
        """Wait for an answer to a client that goes on."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not self.of(kind).statuses:
            assert time.monotonic() < deadline, kind
            await asyncio.sleep(0.02)

    def of(self, kind: str) -> Answers:
        return self.kinds.setdefault(kind, Answers())

    async def ask(self, kind: str, node: Node, body: dict[str, Any] | None = None, token: str | None = None) -> Told:
        """One request of a kind, by the admin unless a token is given."""
        method, path = _CALLS[kind]
        headers = {"Authorization": f"Bearer {token or node.token}"}
        if kind in {"jwks", "live", "ready", "login", "refresh"}:
            headers = {}
        answers = self.of(kind)
        begun = time.monotonic()
        try:
            async with self._http.request(method, node.address + path, json=body, headers=headers) as answer:
                text = await answer.read()
                told = Told(answer.status, await answer.json(content_type=None) if text else {})
                if answer.status == 503 and "Retry-After" not in answer.headers:
                    answers.without_retry_after += 1
        except (aiohttp.ClientError, TimeoutError):
            told = Told(0, {})
        answers.statuses[told.status] += 1
        if told.status >= 400:
            answers.codes[told.body.get("code", "")] += 1
        answers.seconds.append(time.monotonic() - begun)
        return told

    def _body(self, kind: str, node: Node) -> dict[str, Any] | None:
        bodies: dict[str, dict[str, Any]] = {
            "write": {"name": f"Name {next(self._numbers)}"},
            "login": {"username": "admin", "password": node.password},
        }
        return bodies.get(kind)

    @asynccontextmanager
    async def going_on(self, counts: dict[str, int], pause_seconds: float = 0.02) -> AsyncIterator[None]:
        """So many clients of each kind at each node, and two at each that remember what was acknowledged."""
        self._over = False
        tasks = []
        for node in self._nodes:
            for kind, count in counts.items():
                tasks += [asyncio.create_task(self._repeat(kind, node, pause_seconds)) for _ in range(count)]
            tasks.append(asyncio.create_task(self._make_users(node, pause_seconds)))
            tasks.append(asyncio.create_task(self._refresh(node, pause_seconds)))
        try:
            yield
        finally:
            self._over = True
            await asyncio.gather(*tasks)

    async def _repeat(self, kind: str, node: Node, pause_seconds: float) -> None:
        while not self._over:
            await self.ask(kind, node, self._body(kind, node))
            await asyncio.sleep(pause_seconds)

    async def _make_users(self, node: Node, pause_seconds: float) -> None:
        """Each is asked for until it is there: a 409 after a lost answer says that it was made."""
        while not self._over:
            name = f"{self._prefix}{next(self._numbers)}"
            self.asked.add(name)
            body = {"username": name, "name": name, "role": "customer", "password": PASSWORD}
            tries = 0
            while (told := await self.ask("create", node, body)).status not in {201, 409} and not self._over:
                tries += 1
                await asyncio.sleep(pause_seconds)
            if told.status == 409:
                assert tries, told
            if told.status in {201, 409}:
                self.made.add(name)

    async def _refresh(self, node: Node, pause_seconds: float) -> None:
        """A session whose refresh is repeated with the same token until it is answered (docs/sessions.md)."""
        token = (await self._until_answered("login", node, self._body("login", node)))["refresh_token"]
        while not self._over:
            told = await self.ask("refresh", node, {"refresh_token": token})
            assert told.status in {0, 200, 503}, told
            token = told.body.get("refresh_token", token)
            await asyncio.sleep(pause_seconds)
        self.chains.append(token)

    async def _until_answered(self, kind: str, node: Node, body: dict[str, Any] | None) -> dict[str, Any]:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (told := await self.ask(kind, node, body)).status != 200:
            assert time.monotonic() < deadline, told
            await asyncio.sleep(0.02)
        return told.body

    async def until(self, kind: str, wanted: set[int]) -> float:
        """The seconds until each node has answered so."""
        begun = time.monotonic()

        async def one(node: Node) -> None:
            while (told := await self.ask(kind, node, self._body(kind, node))).status not in wanted:
                assert time.monotonic() - begun < DEADLINE_SECONDS, (kind, wanted, told)
                await asyncio.sleep(0.02)

        await asyncio.gather(*(one(node) for node in self._nodes))
        return time.monotonic() - begun

    async def revoked_everywhere(self) -> float:
        """The seconds from a logout at the first node until all processes of the last one refuse the token."""
        first, last = self._nodes[0], self._nodes[-1]
        token = (await self._until_answered("login", first, self._body("login", first)))["token"]
        assert (await self.ask("verify", last, token=token)).status == 204
        told = await self.ask("logout", first, token=token)
        assert told.status == 204, told
        done_at = known_at = time.monotonic()
        refusals = 0
        while refusals < 10 * last.workers:
            status = (await self.ask("verify", last, token=token)).status
            assert status in {204, 401}
            assert time.monotonic() - done_at < DEADLINE_SECONDS
            refusals = refusals + 1 if status == 401 else 0
            if refusals <= 1:
                known_at = time.monotonic()
        return known_at - done_at

    async def require_nothing_lost(self) -> None:
        """All that was acknowledged is there, nothing is there that nobody asked for, and each session goes on."""
        node = self._nodes[0]
        found: set[str] = set()
        cursor = ""
        while True:
            url = f"{node.address}/users?limit=200{cursor}"
            headers = {"Authorization": f"Bearer {node.token}"}
            async with self._http.get(url, headers=headers) as answer:
                page = await answer.json()
                assert answer.status == 200, page
            found |= {user["username"] for user in page["users"]}
            if not page.get("next_cursor"):
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert self.made <= found
        assert {name for name in found if name.startswith(self._prefix)} <= self.asked
        for token in self.chains:
            assert (await self.ask("refresh", node, {"refresh_token": token})).status == 200
        self.chains.clear()


@asynccontextmanager
async def clients_of(nodes: list[Node], prefix: str) -> AsyncIterator[Clients]:
    """The users that they make have names that begin with the prefix."""
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    timeout = aiohttp.ClientTimeout(total=HANGS_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        yield Clients(nodes, http, prefix)
