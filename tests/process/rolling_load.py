"""People who use several nodes at once, through a tiny load balancer, and notice each answer that is wrong."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

PASSWORD = "brown otters juggle turnips"
_ANSWER_SECONDS = 30
_PROGRESS_SECONDS = 120


class Nodes:
    """The nodes that take requests. Each request goes to the next one; a node is taken out before it is stopped."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self._turn = itertools.count()
        self._under_way: Counter[str] = Counter()
        self._changed = asyncio.Condition()

    def add(self, address: str) -> None:
        self.addresses.append(address)

    async def take_out(self, address: str) -> None:
        """Send it no more requests, and wait for those that are under way."""
        self.addresses.remove(address)
        async with self._changed:
            await self._changed.wait_for(lambda: self._under_way[address] == 0)

    @asynccontextmanager
    async def chosen(self, address: str | None) -> AsyncIterator[str]:
        """The node for a request: the next one, unless it is chosen already."""
        address = address or self.addresses[next(self._turn) % len(self.addresses)]
        self._under_way[address] += 1
        try:
            yield address
        finally:
            self._under_way[address] -= 1
            async with self._changed:
                self._changed.notify_all()


class Load:
    """Runs people against the nodes. `failures` has what went wrong, `done` counts what went well."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.admin_password = ""
        self.failures: list[str] = []
        self.done: Counter[str] = Counter()
        self._names = itertools.count(1)
        self._ends = asyncio.Event()
        self._progress = asyncio.Event()
        # What was acknowledged: users that are there, users that were deleted, refresh tokens of sessions that go on.
        self.kept: set[str] = set()
        self.deleted: set[str] = set()
        self.sessions: dict[str, str] = {}

    async def run(self, people: int) -> None:
        """Go on until `end`."""
        timeout = aiohttp.ClientTimeout(_ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as self._http, asyncio.TaskGroup() as group:
            for _ in range(people):
                group.create_task(self._person())

    async def go_on(self, answers: int) -> None:
        """Return after so many more answers."""
        wanted = self.done.total() + answers
        async with asyncio.timeout(_PROGRESS_SECONDS):
            while self.done.total() < wanted and not self.failures:
                self._progress.clear()
                await self._progress.wait()
        assert self.failures == []

    def end(self) -> None:
        """Let everybody finish what was begun."""
        self._ends.set()

    async def _person(self) -> None:
        admin = await self._log_in("admin", self.admin_password)
        while not self._ends.is_set():
            name = f"user{next(self._names)}"
            try:
                await self._life(name, admin)
                admin = await self._refreshed(admin)
            except (aiohttp.ClientError, TimeoutError, AssertionError) as error:
                self.failures.append(f"{name}: {error!r}")
                self._progress.set()
                admin = await self._log_in("admin", self.admin_password)

    async def _life(self, name: str, admin: dict[str, Any]) -> None:
        """Each step is on the next node: what one has made counts on all."""
        user = {"username": name, "name": name, "role": "customer", "password": PASSWORD}
        made = (await self._call(201, "POST /users", user, admin))["user"]["id"]
        self.kept.add(made)
        session = await self._log_in(name, PASSWORD)
        for _ in range(3):
            assert (await self._call(200, "GET /me", None, session))["user"]["id"] == made
            await self._call(200, f"GET /users/{made}", None, admin)
            session = await self._refreshed(session)
        await self._call(200, "PATCH /me", {"name": f"{name} again"}, session)
        self.sessions[made] = session["refresh_token"]
        if len(self.kept) % 3 == 0:
            self.kept.discard(made)
            del self.sessions[made]
            await self._call(204, f"DELETE /users/{made}", None, admin)
            self.deleted.add(made)

    async def verify(self) -> None:
        """Nothing that was acknowledged is lost, on any node."""
        async with aiohttp.ClientSession() as self._http:
            admin = await self._log_in("admin", self.admin_password)
            for address in self.nodes.addresses:
                for user_id in self.kept:
                    await self._call(200, f"GET /users/{user_id}", None, admin, address)
                for user_id in self.deleted:
                    await self._call(404, f"GET /users/{user_id}", None, admin, address)
            for token in self.sessions.values():
                await self._call(200, "POST /refresh", {"refresh_token": token})

    async def _log_in(self, username: str, password: str) -> Any:
        return await self._call(200, "POST /login", {"username": username, "password": password})

    async def _refreshed(self, session: dict[str, Any]) -> Any:
        return await self._call(200, "POST /refresh", {"refresh_token": session["refresh_token"]})

    async def _call(
        self, expected: int, call: str, body: Any = None, session: Any = None, address: str | None = None
    ) -> Any:
        method, path = call.split(" ")
        headers = {} if session is None else {"Authorization": f"Bearer {session['token']}"}
        async with (
            self.nodes.chosen(address) as node,
            self._http.request(method, node + path, json=body, headers=headers) as answer,
        ):
            text = await answer.text()
        assert answer.status == expected, f"{method} {path} at {node}: {answer.status} {text}"
        self.done[method + " /" + path.split("/")[1]] += 1
        self._progress.set()
        return json.loads(text) if text else {}
