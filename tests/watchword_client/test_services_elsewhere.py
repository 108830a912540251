"""A service that verifies tokens by the JWKS of a running Watchword, and is otherwise on its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from server.settings.tree import TokenSettings
from tests.running import Api, StartApi
from watchword_client import ANY_USER, RemoteKeySet, TokenVerifier, claims_of, only, protect

TTL_SECONDS = 7200


async def who(request: web.Request) -> web.Response:
    return web.json_response({"for": claims_of(request).username})


class Service:
    """It has a clock of its own that goes with that of the Watchword, and counts on nothing else."""

    def __init__(self, api: Api) -> None:
        url = str(api.client.make_url("/.well-known/jwks.json"))
        self.keys = RemoteKeySet(url, clock=api.clock)
        verifier = TokenVerifier(self.keys, issuer="my-api", audience="my-api", clock=api.clock)
        app = web.Application()
        app.router.add_get("/orders", who)
        app.router.add_get("/reports", who)
        protect(app, verifier, {"GET /orders": ANY_USER, "GET /reports": only("admin")})
        self.client: TestClient[Any, Any] = TestClient(TestServer(app))

    async def get(self, path: str, token: str | None) -> Any:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return await self.client.get(path, headers=headers)

    async def status(self, path: str, token: str | None) -> int:
        status: int = (await self.get(path, token)).status
        return status


@pytest.fixture
async def api(start_api: StartApi, algorithm: str) -> Api:
    return await start_api(tokens=TokenSettings(access_ttl_seconds=TTL_SECONDS, algorithm=algorithm))


@pytest.fixture
def algorithm() -> str:
    return "ES256"


@pytest.fixture
async def service(api: Api) -> AsyncIterator[Service]:
    made = Service(api)
    async with made.client:
        yield made


pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
async def test_tokens_of_each_algorithm_are_good_there(api: Api, service: Service) -> None:
    customer, admin = await api.token("lak"), await api.token("sahan")
    assert await (await service.get("/orders", customer)).json() == {"for": "lak"}
    assert await service.status("/reports", customer) == 403
    assert await service.status("/reports", admin) == 200


async def test_what_is_refused_is_refused_in_the_same_words(api: Api, service: Service) -> None:
    expired = await api.token("sahan")
    api.clock.advance(TTL_SECONDS)
    customer = await api.token("lak")
    for token in (None, "", "x", customer + "x", customer[:-10], expired, customer):
        there, here = await service.get("/reports", token), await api.request("GET", "/users", token)
        ours = await here.json()
        # Where a type is explained, and the id in the log, are matters of the server that answers.
        same = {name: value for name, value in ours.items() if name != "request_id"} | {"type": "about:blank"}
        assert (there.status, await there.json()) == (here.status, same)
        for name in ("WWW-Authenticate", "Content-Type", "Cache-Control"):
            assert there.headers.get(name) == here.headers.get(name)


async def test_a_rotation_is_noticed_by_nobody(api: Api, service: Service) -> None:
    old = await api.token("lak")
    assert await service.status("/orders", old) == 200
    for _ in range(3):
        await api.services.keys.rotate(at_once=True)
        new = await api.token("lak")
        assert await service.status("/orders", old) == 200
        assert await service.status("/orders", new) == 200
        api.clock.advance(5)


async def test_a_revoked_key_is_believed_there_no_longer_than_its_set_is_current(api: Api, service: Service) -> None:
    old = await api.token("lak")
    assert await service.status("/orders", old) == 200
    record = api.services.keys.current.keyring.signing_record(api.clock.now_ms())
    assert record is not None
    await api.services.keys.revoke(record.kid)
    assert (await api.request("GET", "/me", old)).status == 401
    new = await api.token("lak")
    api.clock.advance(299)
    # Nothing tells the service, which has the next key since long.
    assert await service.status("/orders", old) == 200
    assert await service.status("/orders", new) == 200
    api.clock.advance(1)
    # Only tokens that are known come now, and one of them is answered while the set is fetched.
    assert await service.status("/orders", old) == 200
    await service.keys.reload()
    assert await service.status("/orders", old) == 401
    assert await service.status("/orders", new) == 200


async def test_a_logout_is_not_heard_of_there(api: Api, service: Service) -> None:
    """What docs/verifying.md says of it."""
    token = await api.token("lak")
    assert (await api.request("POST", "/logout", token)).status == 204
    assert (await api.request("GET", "/me", token)).status == 401
    assert await service.status("/orders", token) == 200
    api.clock.advance(TTL_SECONDS)
    assert await service.status("/orders", token) == 401
