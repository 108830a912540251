"""Clients that reach every worker of every node: each request has a connection of its own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple

import aiohttp

from tests.calling import DEADLINE_SECONDS, PAUSE_SECONDS

_CUT_OFF = (aiohttp.ClientError, ConnectionError, TimeoutError)
# What a server answers that can't do it now: the client comes again.
_LATER = {429, 503}


class Told(NamedTuple):
    """An answer. If there was none, because the connection was cut off, the status is 0: nobody knows what was done."""

    status: int
    body: dict[str, Any]
    # The first part of the request id, which each worker has for itself.
    worker: str = ""
    request_id: str = ""
    # Whether an earlier one of the same requests was cut off, or found the store lost meanwhile: it may have been done.
    repeated: bool = False


class Clients:
    """Call the nodes at these addresses in turn."""

    # How long a client waits for an answer.
    patience_seconds = 10

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = itertools.cycle(addresses)
        self._session: aiohttp.ClientSession | None = None

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        timeout = aiohttp.ClientTimeout(total=self.patience_seconds)
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as self._session:
            # Else aiohttp itself repeats a GET or DELETE that was cut off, and nobody knows that it was repeated.
            self._session._retry_connection = False
            yield

    async def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        token: str | None = None,
        client: str | None = None,
    ) -> Told:
        """`client` is the address that the request comes from, as a proxy says it."""
        assert self._session is not None
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if client is not None:
            headers["X-Forwarded-For"] = client
        url = next(self._addresses) + path
        try:
            async with self._session.request(method, url, json=body, headers=headers) as response:
                text = await response.read()
                found: dict[str, Any] = await response.json(content_type=None) if text else {}
                request_id = response.headers["X-Request-Id"]
                return Told(response.status, found, request_id.partition("-")[0], request_id)
        except _CUT_OFF:
            return Told(0, {})

    async def until_answered(
        self, method: str, path: str, body: dict[str, Any] | None = None, token: str | None = None
    ) -> Told:
        """The first answer that is one."""
        deadline, repeated = time.monotonic() + DEADLINE_SECONDS, False
        while True:
            told = await self.call(method, path, body, token)
            if told.status not in {0, *_LATER}:
                return told._replace(repeated=repeated)
            repeated = repeated or told.status in {0, 503}
            assert time.monotonic() < deadline, (method, path, told)
            await asyncio.sleep(0.01)

    async def until_all_refuse(self, token: str, workers: int) -> None:
        """Until each worker refuses the token as revoked. None that has refused it takes it again."""
        refused: set[str] = set()
        deadline = time.monotonic() + DEADLINE_SECONDS
        while len(refused) < workers:
            told = await self.call("GET", "/me", token=token)
            if told.status == 401:
                assert told.body["code"] == "token_revoked"
                refused.add(told.worker)
            # The user may have been deleted.
            assert told.status == 401 or (told.status in {200, 404} and told.worker not in refused)
            assert time.monotonic() < deadline
            await asyncio.sleep(PAUSE_SECONDS)


async def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)
