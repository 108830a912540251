"""A whole server behind a real client, on each store."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import BaseTestServer, TestClient
from pydantic import SecretStr
from pytest_aiohttp.plugin import AiohttpClient

from server.app import create_live, open_services
from server.core.client import Client
from server.database.open import apply_migrations
from server.database.postgres import pool as postgres_pool
from server.database.sqlite import driver as sqlite_driver
from server.http.request_log import RequestLog
from server.http.runner import EdgeRunner
from server.live import Live
from server.services import Services, Watchers
from server.sessions.issuing import IssuedTokens
from server.settings import Settings
from server.settings.tree import KeySettings, PasswordSettings, StoreSettings
from tests.clock import FakeClock

PASSWORD = "brown otters juggle turnips"
MASTER_KEY = "Jw6Rk2YcZ7vBq4Tn0uHs5EpDa9mWf2Lx"
# Whom the tests trust that do not say so themselves.
_AUTHORITIES = os.environ.get("SSL_CERT_FILE")


class EdgeTestServer(BaseTestServer):
    """The test server with the runner that production has."""

    def __init__(self, runner: EdgeRunner) -> None:
        super().__init__()
        self._edge_runner = runner

    async def _make_runner(self, **_: Any) -> EdgeRunner:
        return self._edge_runner


@dataclass
class Api:
    """A running server and what a test needs to talk to it."""

    services: Services
    client: TestClient[Any, Any]
    clock: FakeClock
    live: Live

    async def request(self, method: str, path: str, token: str | None = None, **options: Any) -> aiohttp.ClientResponse:
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return await self.client.request(method, path, headers=headers, **options)

    async def problem(self, response: aiohttp.ClientResponse, status: int, code: str) -> dict[str, Any]:
        """The answer is this failure, in the form that every failure has."""
        body: dict[str, Any] = await response.json(content_type="application/problem+json")
        assert (response.status, body["status"], body["code"]) == (status, status, code), body
        assert body["request_id"] == response.headers["X-Request-Id"]
        assert body["type"] == f"{self.live.services.settings.server.public_url}/docs#{code}"
        assert body["title"]
        assert body["detail"]
        return body

    async def log_in(self, username: str, password: str = PASSWORD) -> dict[str, Any]:
        response = await self.request("POST", "/login", json={"username": username, "password": password})
        assert response.status == 200, await response.text()
        body: dict[str, Any] = await response.json()
        return body

    async def token(self, username: str) -> str:
        token: str = (await self.log_in(username))["token"]
        return token


StartApi = Callable[..., Awaitable[Api]]


@pytest.fixture
def no_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers of the test do nothing beside requests: their tasks read and write at moments of their own."""

    async def nothing(*_: object) -> AsyncIterator[None]:
        yield

    monkeypatch.setattr("server.live.background", nothing)


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        url: str = request.getfixturevalue("migrated_postgres_url")
        return url
    shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "watchword.db")
    return f"sqlite:///{tmp_path}/watchword.db"


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with all migrations and nothing else. To copy it takes a twentieth of the time that they take."""
    path = tmp_path_factory.mktemp("migrated") / "watchword.db"
    asyncio.run(apply_migrations(StoreSettings(url=f"sqlite:///{path}")))
    return path


@pytest.fixture(scope="session", autouse=True)
def _stores_are_closed() -> Iterator[None]:
    """However busy the machine is: else what a test has left open is told in the middle of a later one."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sqlite_driver, "CLOSE_SECONDS", 60.0)
        patched.setattr(postgres_pool, "CLOSE_SECONDS", 60.0)
        yield


@contextmanager
def few_authorities() -> Iterator[None]:
    """To read all those that the system trusts takes as long as the rest of a server that mails, and no test has one.

    Those that a test wants are there all the same.
    """
    with pytest.MonkeyPatch.context() as patched:
        if os.environ.get("SSL_CERT_FILE") == _AUTHORITIES:
            patched.setenv("SSL_CERT_FILE", os.devnull)
        yield


def settings_with(store_url: str, **changes: Any) -> Settings:
    """Cheap hashes, and the sections that a test wants otherwise."""
    sections = {
        "store": StoreSettings(url=store_url),
        "keys": KeySettings(master_key=(SecretStr(MASTER_KEY),)),
        "passwords": PasswordSettings(bcrypt_cost=4),
    }
    return Settings(**(sections | changes))


@pytest.fixture
async def start_api(store_url: str, aiohttp_client: AiohttpClient) -> AsyncIterator[StartApi]:
    """Starts servers on the test's store, or another `url`; each has an admin `sahan` and a customer `lak`."""
    async with AsyncExitStack() as stack:

        async def start(
            request_log: RequestLog | None = None,
            url: str = store_url,
            watchers: Watchers | None = None,
            **changes: Any,
        ) -> Api:
            clock = FakeClock()
            settings = settings_with(url, **changes)
            opening = open_services(settings, serving=True, clock=clock, watchers=watchers)
            with few_authorities():
                services = await stack.enter_async_context(opening)
            if await services.users.create_first("sahan", "Sahan", "admin", PASSWORD):
                clock.advance(1)
                await services.users.create("lak", "Lak", "customer", PASSWORD)
            live = create_live(services, request_log)
            client: TestClient[Any, Any] = await aiohttp_client(EdgeTestServer(live.runner))
            # Before the services that it uses; the fixture would close it after them.
            stack.push_async_callback(client.close)
            return Api(services, client, clock, live)

        yield start


@pytest.fixture
async def api(start_api: StartApi) -> Api:
    return await start_api()


async def log_in(services: Services, username: str, password: str = PASSWORD) -> IssuedTokens:
    """As POST /login does it, without a request."""
    client = Client("192.0.2.1", "test")
    async with services.authentication.log_in(username, password, client.ip) as authenticated:
        return await services.sessions.open(authenticated, client)
