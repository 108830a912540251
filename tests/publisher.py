"""A server that publishes keys, well or badly, as a test wants."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from server.keys.key_material import SigningKey, public_jwk
from tests.clock import FakeClock
from tests.forging import AUDIENCE, ISSUER, signing_key
from watchword_client.remote import RemoteKeySet
from watchword_client.token_verifier import TokenVerifier

JWKS_PATH = "/.well-known/jwks.json"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Publisher:
    """Answers with `body`, `status` and `headers`, or as `handler` does; while `gate` is closed, not at all."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b""
        self.handler: Handler | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Event()
        self.requests: list[web.BaseRequest] = []
        self.most_at_once = 0
        self.strayed = 0
        self.clock = FakeClock()
        self._at_once = 0
        app = web.Application()
        app.router.add_get(JWKS_PATH, self._answer)
        app.router.add_get("/{elsewhere:.*}", self._stray)
        self.server = TestServer(app)
        self.url = ""
        self._made: list[RemoteKeySet] = []
        self.publish(signing_key("ES256"))

    @property
    def fetches(self) -> int:
        return len(self.requests)

    def publish(self, *keys: SigningKey, **changes: Any) -> None:
        self.publish_jwks(*({**public_jwk(key.material, key.algorithm), **changes} for key in keys))

    def publish_jwks(self, *jwks: dict[str, Any]) -> None:
        self.body = json.dumps({"keys": jwks}).encode()

    def remote(self, **options: Any) -> RemoteKeySet:
        """Keys from here, by the test's clock; closed at the end."""
        made = RemoteKeySet(self.url, **{"clock": self.clock, **options})
        self._made.append(made)
        return made

    def verifier(self, keys: RemoteKeySet | None = None) -> TokenVerifier:
        return TokenVerifier(keys or self.remote(), issuer=ISSUER, audience=AUDIENCE, clock=self.clock)

    async def start(self) -> None:
        await self.server.start_server()
        self.url = str(self.server.make_url(JWKS_PATH))

    async def close(self) -> None:
        for made in self._made:
            await made.close()
        self.gate.set()
        await self.server.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.arrived.set()
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await self.gate.wait()
            if self.handler is not None:
                return await self.handler(request)
            return web.Response(status=self.status, body=self.body, headers=self.headers)
        finally:
            self._at_once -= 1

    async def _stray(self, _: web.Request) -> web.StreamResponse:
        """Where nobody should come."""
        self.strayed += 1
        return web.Response(body=self.body)


@pytest.fixture(scope="module")
def _collected() -> None:
    """What other modules have left is collected once. What they keep, each collection below would look at again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
async def publisher(_collected: None) -> AsyncIterator[Publisher]:
    made = Publisher()
    await made.start()
    yield made
    await made.close()
    # What was left open says so now, and warnings are errors.
    del made
    gc.collect()


async def settled(keys: RemoteKeySet) -> None:
    """When the fetch under way is over."""
    if keys._fetching:
        await asyncio.wait(keys._fetching.values())
