"""Any aiohttp application behind the guard: who may call what, and what the others are told."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from pytest_aiohttp.plugin import AiohttpClient

from server.core.errors import Overloaded
from server.users.errors import LastAdmin
from tests.forging import claims_with, forge, header_of
from tests.publisher import Publisher
from tests.watchword_client.guarded import (
    ACCESS,
    ADMIN,
    CUSTOMER,
    EXPIRED,
    FORGED,
    KEY,
    STRANGER,
    UNKNOWN,
    a_verifier,
    application,
    bearer,
    protected,
)
from tests.watchword_client.logs import logged, told
from watchword_client.access import ANY_USER, ANYONE, only
from watchword_client.middleware import auth_middleware, protect

CALLERS = {
    "nobody": (None, "token_missing"),
    "garbage": ("x.y.z", "token_invalid"),
    "forged": (FORGED, "token_invalid"),
    "unknown key": (UNKNOWN, "token_invalid"),
    "expired": (EXPIRED, "token_expired"),
    "customer": (CUSTOMER, None),
    "admin": (ADMIN, None),
    "stranger": (STRANGER, None),
}
EVERYBODY = set(CALLERS)
USERS = {"customer", "admin", "stranger"}
ALLOWED: dict[str, set[str]] = {
    "GET /public": EVERYBODY,
    "HEAD /public": EVERYBODY,
    "GET /orders": USERS,
    "HEAD /orders": USERS,
    "POST /orders": {"customer", "admin"},
    "GET /orders/7": {"customer", "admin"},
    "DELETE /orders/7": {"admin"},
    "GET /reports": {"admin"},
    "HEAD /reports": {"admin"},
    "GET /anything": {"admin"},
    "PUT /anything": {"admin"},
    "OPTIONS /anything": {"admin"},
    "GET /nobody": set(),
}


@pytest.mark.parametrize("way", ["protect", "auth_middleware"])
@pytest.mark.parametrize("call", ALLOWED)
async def test_who_may_call_what(aiohttp_client: AiohttpClient, way: str, call: str) -> None:
    method, _, path = call.partition(" ")
    app = protected() if way == "protect" else application(ACCESS, auth_middleware(a_verifier(), ACCESS))
    client = await aiohttp_client(app)
    for caller, (token, code) in CALLERS.items():
        response = await client.request(method, path, headers=bearer(token))
        text = await response.text()
        if caller in ALLOWED[call]:
            assert response.status == 200, caller
        else:
            assert response.status == (401 if code else 403), caller
            assert method == "HEAD" or f'"{code or "insufficient_role"}"' in text


async def test_a_handler_knows_who_calls(aiohttp_client: AiohttpClient) -> None:
    client = await aiohttp_client(protected())
    for token, username, role in ((CUSTOMER, "lak", "customer"), (ADMIN, "sahan", "admin")):
        for path in ("/orders", "/orders/7"):
            response = await client.get(path, headers=bearer(token))
            assert await response.json() == {"for": username, "role": role}
    # Where no token is asked for, none is looked at.
    for path, token in (("/public", ADMIN), ("/public", FORGED)):
        assert await (await client.get(path, headers=bearer(token))).json() == {"for": None, "role": None}


@pytest.mark.parametrize(
    ("caller", "answer", "members"),
    [
        ("nobody", (401, "Bearer"), {
            "title": "Authentication required", "code": "token_missing",
            "detail": "Send an access token: Authorization: Bearer <token>.",
        }),
        ("forged", (401, 'Bearer error="invalid_token"'), {
            "title": "Invalid token", "code": "token_invalid", "detail": "The access token is not valid.",
        }),
        ("expired", (401, 'Bearer error="invalid_token"'), {
            "title": "Token expired", "code": "token_expired", "detail": "Session expired. Please log in again.",
        }),
        ("customer", (403, None), {
            "title": "Insufficient role", "code": "insufficient_role", "detail": "Your role does not allow this.",
            "required": ["admin"], "role": "customer",
        }),
    ],
)  # fmt: skip
async def test_refusals_are_problems_with_the_codes_of_watchword(
    aiohttp_client: AiohttpClient, caller: str, answer: tuple[int, str | None], members: dict[str, Any]
) -> None:
    client = await aiohttp_client(protected())
    response = await client.get("/reports", headers=bearer(CALLERS[caller][0]))
    assert (response.status, response.headers.get("WWW-Authenticate")) == answer
    assert await response.json() == {"type": "about:blank", "status": response.status, **members}
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic bGFr", "Token x", "x.y.z", "Bearerx.y.z"])
async def test_no_bearer_token_in_the_header_is_none(aiohttp_client: AiohttpClient, value: str) -> None:
    client = await aiohttp_client(protected())
    response = await client.get("/orders", headers={"Authorization": value})
    assert (response.status, (await response.json())["code"]) == (401, "token_missing")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
async def test_the_scheme_is_written_in_any_case(aiohttp_client: AiohttpClient, scheme: str) -> None:
    client = await aiohttp_client(protected())
    assert (await client.get("/orders", headers={"Authorization": f"{scheme} {CUSTOMER}"})).status == 200


async def test_two_tokens_are_none(aiohttp_client: AiohttpClient) -> None:
    client = await aiohttp_client(protected())
    response = await client.get("/orders", headers=[("Authorization", f"Bearer {ADMIN}")] * 2)
    assert (response.status, (await response.json())["code"]) == (401, "token_invalid")


@pytest.mark.parametrize("caller", ["nobody", "forged", "customer"])
async def test_where_no_route_is_the_router_answers(aiohttp_client: AiohttpClient, caller: str) -> None:
    client = await aiohttp_client(protected())
    for method, path, status in (("GET", "/nothing", 404), ("GET", "/reports/", 404), ("PUT", "/reports", 405)):
        response = await client.request(method, path, headers=bearer(CALLERS[caller][0]))
        assert response.status == status
        assert "WWW-Authenticate" not in response.headers


async def test_another_spelling_of_a_path_has_the_same_rule(aiohttp_client: AiohttpClient) -> None:
    client = await aiohttp_client(protected())
    for path in ("/%72eports", "/reports?x=/public", "/reports#x", "/./reports", "/public/../reports"):
        assert (await client.get(path, headers=bearer(CUSTOMER))).status == 403


async def test_a_route_without_a_rule_is_closed_to_everybody(aiohttp_client: AiohttpClient) -> None:
    access = {"GET /public": ANYONE}
    client = await aiohttp_client(application(ACCESS, auth_middleware(a_verifier(), access)))
    with logged() as lines:
        for _ in range(3):
            for path in ("/orders", "/reports", "/orders/7"):
                assert (await client.get(path)).status == 401
                response = await client.get(path, headers=bearer(ADMIN))
                assert (response.status, (await response.json())["required"]) == (403, [])
    assert (await client.get("/public")).status == 200
    # One line for each of them, however often it is called.
    assert sorted(told(line, "route") for line in lines) == ["GET /orders", "GET /orders/{order_id}", "GET /reports"]


async def test_roles_include_others_directly_and_through_others(aiohttp_client: AiohttpClient) -> None:
    access = {f"GET /{role}": only(role) for role in ("owner", "editor", "reader", "auditor")}
    roles = {"owner": ["editor"], "editor": ["reader"], "reader": [], "auditor": ["reader"]}
    client = await aiohttp_client(protected(access, roles=roles))
    may = {
        "owner": {"owner", "editor", "reader"},
        "editor": {"editor", "reader"},
        "reader": {"reader"},
        "auditor": {"auditor", "reader"},
        "admin": set(),
    }
    for role, allowed in may.items():
        token = forge(KEY, header_of(KEY), claims_with(role=role))
        opened = {wanted for wanted in roles if (await client.get(f"/{wanted}", headers=bearer(token))).status == 200}
        assert opened == allowed


async def test_one_of_several_roles_suffices(aiohttp_client: AiohttpClient) -> None:
    client = await aiohttp_client(protected({"GET /x": only("customer", "admin")}))
    for token, status in ((CUSTOMER, 200), (ADMIN, 200), (STRANGER, 403)):
        assert (await client.get("/x", headers=bearer(token))).status == status


async def test_what_the_applications_own_handlers_raise_passes(aiohttp_client: AiohttpClient) -> None:
    raised: list[Exception] = [LastAdmin(), Overloaded(), web.HTTPConflict(text="taken"), web.HTTPFound("/x")]
    caught: list[Exception] = []

    @web.middleware
    async def outer(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Exception as error:  # noqa: BLE001 - all that comes out is what this test is about
            caught.append(error)
            return web.Response(status=418)

    async def raising(_: web.Request) -> web.Response:
        raise raised[len(caught)]

    app = web.Application(middlewares=[outer])
    app.router.add_get("/x", raising)
    app.router.add_get("/public", raising)
    protect(app, a_verifier(), {"GET /x": ANY_USER, "GET /public": ANYONE})
    client = await aiohttp_client(app)
    for path in ("/x", "/public", "/x", "/public"):
        assert (await client.get(path, headers=bearer(CUSTOMER))).status == 418
    assert caught == raised
    # A refusal of the guard is an answer already, so what stands outside can add to it.
    assert (await client.get("/x")).status == 401


async def test_without_keys_the_answer_is_503_and_when_to_come_again(
    aiohttp_client: AiohttpClient, publisher: Publisher
) -> None:
    publisher.publish(KEY)
    publisher.status = 500
    app = application()
    protect(app, publisher.verifier(), ACCESS)
    client = await aiohttp_client(app)
    for token in (CUSTOMER, "x.y.z"):
        response = await client.get("/orders", headers=bearer(token))
        assert (response.status, response.headers["Retry-After"]) == (503, "5")
        assert (await response.json())["code"] == "keys_unavailable"
    assert publisher.fetches == 1
    # What needs no keys is answered all the same.
    assert (await client.get("/public")).status == 200
    assert (await client.get("/orders")).status == 401
    publisher.status = 200
    publisher.clock.advance(5)
    assert (await client.get("/orders", headers=bearer(CUSTOMER))).status == 200
