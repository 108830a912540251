"""The routes of a guarded application and their rules: none without the other, wherever the routes are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pytest_aiohttp.plugin import AiohttpClient

from server.core.errors import ConfigurationError
from tests.publisher import Publisher
from tests.watchword_client.guarded import ACCESS, ADMIN, CUSTOMER, KEY, a_verifier, application, bearer, who
from watchword_client.access import ANY_USER, ANYONE, only
from watchword_client.middleware import auth_middleware, protect


async def hidden(_: web.Request) -> web.Response:
    return web.Response(text="a secret")


async def start_fails(app: web.Application) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        await TestServer(app).start_server()
    return list(caught.value.problems)


async def test_protect_does_not_start_with_a_route_without_a_rule() -> None:
    app = application()
    protect(app, a_verifier(), {name: rule for name, rule in ACCESS.items() if name != "GET /reports"})
    assert await start_fails(app) == ["route GET /reports: has no rule; add it to access"]


async def test_protect_does_not_start_with_a_rule_without_a_route() -> None:
    app = application()
    more = {"GET /report": only("admin"), "PUT /orders": ANY_USER, "GET /orders/{id}": ANYONE}
    protect(app, a_verifier(), ACCESS | more)
    assert await start_fails(app) == [
        "access 'GET /orders/{id}': there is no such route",
        "access 'GET /report': there is no such route",
        "access 'PUT /orders': there is no such route",
    ]


def on_two_domains(app: web.Application, tmp_path: Path) -> None:
    app.router.add_get("/reports", who)
    other = web.Application()
    other.router.add_get("/reports", hidden)
    app.add_domain("admin.example.com", other)


def on_masked_domains(app: web.Application, tmp_path: Path) -> None:
    for domain in ("*.example.com", "admin.*"):
        inner = web.Application()
        inner.router.add_get("/reports", who)
        app.add_domain(domain, inner)


def by_two_patterns(app: web.Application, tmp_path: Path) -> None:
    app.router.add_get(r"/reports/{id:\d+}", who)
    app.router.add_get("/reports/{id:[a-z]+}", hidden)


def twice(app: web.Application, tmp_path: Path) -> None:
    # The router goes on with its last resource alone; so these are two.
    app.router.add_get("/reports", who)
    app.router.add_get("/", who)
    app.router.add_get("/reports", hidden)


def head_beside_get(app: web.Application, tmp_path: Path) -> None:
    app.router.add_get(r"/reports/{id:\d+}", who, allow_head=False)
    app.router.add_head("/reports/{id:[a-z]+}", hidden)


def within_and_outside(app: web.Application, tmp_path: Path) -> None:
    inner = web.Application()
    inner.router.add_get("/{id}", who)
    app.add_subapp("/reports", inner)
    app.router.add_get("/reports/{id}", hidden)


def in_two_applications(app: web.Application, tmp_path: Path) -> None:
    for handler in (who, hidden):
        inner = web.Application()
        inner.router.add_get("/all", handler)
        app.add_subapp("/reports", inner)


def static_and_dynamic(app: web.Application, tmp_path: Path) -> None:
    app.router.add_static("/reports", tmp_path)
    app.router.add_get("/reports", hidden)


def two_folders(app: web.Application, tmp_path: Path) -> None:
    for name in ("open", "closed"):
        (tmp_path / name).mkdir()
        app.router.add_static("/reports", tmp_path / name)


def root_and_nothing(app: web.Application, tmp_path: Path) -> None:
    app.router.add_static("/", tmp_path)
    app.router.add_get("/", hidden)


def all_methods_and_one(app: web.Application, tmp_path: Path) -> None:
    app.router.add_route("*", r"/reports/{id:\d+}", who)
    app.router.add_delete("/reports/{id:.+}", hidden)


@pytest.mark.parametrize("way", ["protect", "auth_middleware"])
@pytest.mark.parametrize(
    ("add", "told"),
    [
        (on_two_domains, ["GET /reports on admin.example.com is ", "GET /reports is ", "hidden"]),
        (on_masked_domains, [r"on [^:]*\.example\.com", r"on admin\.[^:]*"]),
        (by_two_patterns, [r"/reports/(?P<id>\d+) is ", "/reports/(?P<id>[a-z]+) is "]),
        (twice, [".who", ".hidden"]),
        (head_beside_get, [r"GET /reports/(?P<id>\d+)", "HEAD /reports/(?P<id>[a-z]+)"]),
        (within_and_outside, ["/reports/(?P<id>[^{}/]+) is tests.", ".hidden"]),
        (in_two_applications, [".who", ".hidden"]),
        (static_and_dynamic, ["StaticResource._handle", ".hidden"]),
        (two_folders, ["/open is ", "/closed is "]),
        (root_and_nothing, ["StaticResource._handle", ".hidden"]),
        (all_methods_and_one, [r"* /reports/(?P<id>\d+)", "DELETE /reports/(?P<id>.+)"]),
    ],
)
async def test_two_routes_never_share_a_rule(
    aiohttp_client: AiohttpClient,
    tmp_path: Path,
    add: Callable[[web.Application, Path], None],
    told: list[str],
    way: str,
) -> None:
    """A template says neither host nor pattern: a rule that was meant for one of them would open the other."""
    app, verifier = web.Application(), a_verifier()
    add(app, tmp_path)
    methods = {route: "GET" if route.method == "HEAD" else route.method for route in app.router.routes()}
    access = {
        f"{method} {(route.resource.canonical if route.resource else '') or '/'}": ANYONE
        for route, method in methods.items()
    }
    if way == "protect":
        protect(app, verifier, access)
        problems = await start_fails(app)
        assert all("is not the only one of that name" in problem for problem in problems)
        assert all(part in "\n".join(problems) for part in told)
        return
    app.middlewares.append(auth_middleware(verifier, access))
    client = await aiohttp_client(app)
    host = {"Host": "admin.example.com"}
    for path in ("/reports", "/reports/7", "/reports/a", "/reports/all", "/"):
        for method in ("GET", "HEAD", "DELETE"):
            status = (await client.request(method, path, headers=host | bearer(ADMIN))).status
            # A route that is alone with its name may be open.
            assert status in {403, 404, 405} or (add is twice and path == "/" and status == 200), (path, method)


async def test_a_route_for_all_methods_does_not_answer_head_beside_a_get_of_another_rule(
    aiohttp_client: AiohttpClient,
) -> None:
    access = {"GET /reports": only("admin"), "* /reports": ANYONE}

    def beside(*, allow_head: bool) -> web.Application:
        app = web.Application()
        app.router.add_get("/reports", who, allow_head=allow_head)
        app.router.add_route("*", "/reports", who)
        return app

    app = beside(allow_head=False)
    protect(app, a_verifier(), access)
    assert await start_fails(app) == [
        "route * /reports: would answer HEAD, which has the rule of GET; add a route for HEAD to that of GET"
    ]
    app = beside(allow_head=False)
    app.middlewares.append(auth_middleware(a_verifier(), access))
    client = await aiohttp_client(app)
    assert (await client.head("/reports", headers=bearer(ADMIN))).status == 403
    app = beside(allow_head=True)
    protect(app, a_verifier(), access)
    client = await aiohttp_client(app)
    assert (await client.head("/reports")).status == 401
    assert (await client.head("/reports", headers=bearer(ADMIN))).status == 200
    assert (await client.put("/reports")).status == 200


async def test_resources_of_one_path_may_be_for_different_methods(aiohttp_client: AiohttpClient) -> None:
    app = web.Application()
    app.router.add_get(r"/reports/{id:\d+}", who)
    app.router.add_get("/", who)
    app.router.add_post("/reports/{id}", who)
    protect(app, a_verifier(), {"GET /reports/{id}": ANYONE, "GET /": ANYONE, "POST /reports/{id}": only("admin")})
    client = await aiohttp_client(app)
    assert (await client.get("/reports/7")).status == 200
    assert (await client.post("/reports/7")).status == 401
    assert (await client.post("/reports/7", headers=bearer(ADMIN))).status == 200


async def test_a_route_that_is_added_after_the_start_has_no_rule_of_another(aiohttp_client: AiohttpClient) -> None:
    app = web.Application()
    first = app.router.add_resource(r"/reports/{id:\d+}")
    first.add_route("GET", who)
    second = app.router.add_resource("/reports/{id:[a-z]+}")
    second.add_route("POST", who)
    protect(app, a_verifier(), {"GET /reports/{id}": ANYONE, "POST /reports/{id}": ANY_USER})
    client = await aiohttp_client(app)
    assert (await client.get("/reports/7")).status == 200
    second.add_route("GET", hidden)
    second.add_route("DELETE", hidden)
    for call in (client.get, client.delete):
        assert (await call("/reports/a", headers=bearer(ADMIN))).status == 403
    assert (await client.get("/reports/7")).status == 200


async def test_routes_may_be_added_after_protect(aiohttp_client: AiohttpClient) -> None:
    app = web.Application()
    protect(app, a_verifier(), {"GET /late": only("admin")})
    app.router.add_get("/late", who)
    client = await aiohttp_client(app)
    assert (await client.get("/late", headers=bearer(ADMIN))).status == 200
    assert (await client.get("/late", headers=bearer(CUSTOMER))).status == 403
    assert (await client.head("/late")).status == 401


async def test_a_route_that_takes_only_head_has_the_rule_of_get(aiohttp_client: AiohttpClient) -> None:
    app = web.Application()
    app.router.add_head("/there", who)
    protect(app, a_verifier(), {"GET /there": ANY_USER})
    client = await aiohttp_client(app)
    assert (await client.head("/there")).status == 401
    assert (await client.head("/there", headers=bearer(CUSTOMER))).status == 200


@pytest.mark.parametrize(
    "name",
    ["", "GET", "/reports", "GET/reports", "get /reports", "GET reports", "GET  /reports", "GET /a b", "HEAD /x"],
)
def test_a_name_that_no_route_has_is_refused_at_once(name: str) -> None:
    with pytest.raises(ConfigurationError, match="named by method and path"):
        auth_middleware(a_verifier(), {name: ANYONE})
    with pytest.raises(ConfigurationError, match="named by method and path"):
        protect(web.Application(), a_verifier(), {name: ANYONE})


def test_a_role_that_there_is_not_is_refused_at_once() -> None:
    for access, roles, missing in (
        ({"GET /x": only("king")}, {"admin": ()}, ["king"]),
        ({"GET /x": only("admin", "king", "queen")}, {"admin": ()}, ["king", "queen"]),
        ({"GET /x": only("admin")}, {"admin": ["customer"]}, ["customer"]),
        # A text in place of a list of texts.
        ({"GET /x": only("a")}, {"a": "bc"}, ["b", "c"]),
    ):
        with pytest.raises(ConfigurationError) as caught:
            auth_middleware(a_verifier(), access, roles)
        assert list(caught.value.problems) == [
            f"roles: there is no role {role!r}; name it in roles" for role in missing
        ]


async def test_applications_within_are_guarded_by_the_outer_one(aiohttp_client: AiohttpClient) -> None:
    inner = web.Application()
    inner.router.add_get("/list", who)
    inner.router.add_get("/{item}", who)
    app = web.Application()
    app.add_subapp("/shop/", inner)
    app.router.add_get("/", who)
    protect(app, a_verifier(), {"GET /": ANYONE, "GET /shop/list": ANY_USER, "GET /shop/{item}": only("admin")})
    client = await aiohttp_client(app)
    for path, token, status in (
        ("/", None, 200),
        ("/shop/list", None, 401),
        ("/shop/list", CUSTOMER, 200),
        ("/shop/other", CUSTOMER, 403),
        ("/shop/other", ADMIN, 200),
        ("/shop/", ADMIN, 404),
        ("/shop/a/b", None, 404),
    ):
        assert (await client.get(path, headers=bearer(token))).status == status, path
    unruly = web.Application()
    within = web.Application()
    within.router.add_get("/secret", who)
    unruly.add_subapp("/in", within)
    protect(unruly, a_verifier(), {})
    assert await start_fails(unruly) == ["route GET /in/secret: has no rule; add it to access"]


async def test_an_application_within_can_be_guarded_alone(aiohttp_client: AiohttpClient) -> None:
    inner = web.Application()
    inner.router.add_get("/list", who)
    protect(inner, a_verifier(), {"GET /shop/list": only("admin")})
    app = web.Application()
    app.router.add_get("/open", who)
    app.add_subapp("/shop", inner)
    client = await aiohttp_client(app)
    assert (await client.get("/open")).status == 200
    assert (await client.get("/shop/list")).status == 401
    assert (await client.get("/shop/list", headers=bearer(ADMIN))).status == 200


async def test_static_files_have_the_rule_of_their_prefix(aiohttp_client: AiohttpClient, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "plan.txt").write_text("the plan")
    app = web.Application()
    app.router.add_static("/files/", tmp_path)
    protect(app, a_verifier(), {"GET /files": only("admin")})
    client = await aiohttp_client(app)
    for path in ("/files/in/plan.txt", "/files/in%2Fplan.txt", "/files/nothing", "/files/../files/in/plan.txt"):
        assert (await client.get(path)).status == 401
        assert (await client.get(path, headers=bearer(CUSTOMER))).status == 403
    response = await client.get("/files/in/plan.txt", headers=bearer(ADMIN))
    assert await response.text() == "the plan"
    assert (await client.head("/files/in/plan.txt", headers=bearer(CUSTOMER))).status == 403


async def test_views_are_named_by_a_star(aiohttp_client: AiohttpClient) -> None:
    class Thing(web.View):
        async def get(self) -> web.Response:
            return await who(self.request)

    app = web.Application()
    app.router.add_view("/thing", Thing)
    protect(app, a_verifier(), {"* /thing": ANY_USER})
    client = await aiohttp_client(app)
    assert (await client.get("/thing")).status == 401
    assert (await client.delete("/thing")).status == 401
    assert await (await client.get("/thing", headers=bearer(CUSTOMER))).json() == {"for": "lak", "role": "customer"}


async def test_the_verifier_is_closed_with_the_application(publisher: Publisher) -> None:
    publisher.publish(KEY)
    keys = publisher.remote()
    app = application()
    protect(app, publisher.verifier(keys), ACCESS)
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/orders", headers=bearer(CUSTOMER))).status == 200
        publisher.gate.clear()
        publisher.clock.advance(300)
        assert (await client.get("/orders", headers=bearer(CUSTOMER))).status == 200
        [fetch] = keys._fetching.values()
    assert fetch.cancelled()
    assert not keys._fetching
