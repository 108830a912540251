"""What the server's own middleware does with routes that nobody decided about, and whom it attaches to a request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from server.access.principal import Principal
from server.core.turns import Turns
from server.http.auth_middleware import auth_middleware, principal_of
from server.http.cors import Cors
from server.http.edge import Edge
from server.http.route_table import RouteTable
from server.http.runner import EdgeRunner
from server.routes import ROUTES
from server.sessions.recent import require_recent
from tests.running import Api, EdgeTestServer
from watchword_client.access import ANY_USER

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


async def hidden(_: web.Request) -> web.Response:
    return web.Response(text="a secret")


async def who(request: web.Request) -> web.Response:
    request.app[SEEN].append(principal_of(request))
    return web.Response()


SEEN: web.AppKey[list[Principal]] = web.AppKey("seen")


@pytest.fixture
def app(api: Api) -> web.Application:
    """The routes of the server behind its middleware, without the check at the start."""
    table = RouteTable(ROUTES, api.services.roles, {})
    app = web.Application(middlewares=[auth_middleware(table.role_table, api.services.authenticator)])
    app.router.add_resource("/users/{user_id:[a-z]+}")
    table.register(app.router, require_recent, Turns())
    return app


@pytest.fixture
async def behind(api: Api, app: web.Application) -> AsyncIterator[Api]:
    app.router.add_get("/secret", hidden)
    app.router.add_resource("/late")
    services = api.services
    edge = Edge(clock=services.clock, ids=services.ids, cors=Cors((), ()), log=None, trusted=(), public_url="")
    client: TestClient[Any, Any] = TestClient(EdgeTestServer(EdgeRunner(app, edge)))
    async with client:
        yield Api(services, client, api.clock, api.live)


async def assert_closed(api: Api, behind: Api, path: str) -> None:
    await behind.problem(await behind.request("GET", path), 401, "token_missing")
    for username in ("lak", "sahan"):
        told = await behind.problem(
            await behind.request("GET", path, await api.token(username)), 403, "insufficient_role"
        )
        assert told["required"] == []


async def test_a_route_behind_the_tables_back_is_closed_to_everybody(api: Api, behind: Api) -> None:
    await assert_closed(api, behind, "/secret")


async def test_a_route_that_is_added_after_the_start_is_closed_to_everybody(
    api: Api, behind: Api, app: web.Application
) -> None:
    first, *_, last = app.router.resources()
    assert (first.canonical, last.canonical) == ("/users/{user_id}", "/late")
    for resource in (first, last):
        assert isinstance(resource, web.Resource)
        resource.add_route("GET", hidden)
    await assert_closed(api, behind, "/late")
    # It has the name of another route, whose rule is not for it.
    await assert_closed(api, behind, "/users/abc")


async def test_where_no_route_is_the_router_answers(api: Api, behind: Api) -> None:
    for token in (None, await api.token("lak")):
        await behind.problem(await behind.request("GET", "/nothing", token), 404, "not_found")
        await behind.problem(await behind.request("DELETE", "/login", token), 405, "method_not_allowed")


async def test_a_handler_asks_for_the_principal(api: Api) -> None:
    [row] = [row for row in ROUTES if row.name == "GET /me"]
    table = RouteTable([replace(row, handler=who, access=ANY_USER)], api.services.roles, {})
    app = web.Application(middlewares=[auth_middleware(table.role_table, api.services.authenticator)])
    seen: list[Principal] = []
    app[SEEN] = seen
    table.register(app.router, require_recent, Turns())
    token = await api.token("lak")
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/me", headers={"Authorization": f"Bearer {token}"})).status == 200
    claims = await api.services.authenticator.verify(token)
    assert seen == [Principal(claims.subject, "lak", "customer", claims.session_id, claims.auth_time)]
