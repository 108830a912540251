"""GET /verify, for a proxy's auth_request; and the documents about access."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from server.settings.tree import RoleSettings, default_roles
from tests.running import PASSWORD, Api, StartApi


async def test_a_valid_token_gives_the_headers(api: Api) -> None:
    response = await api.request("GET", "/verify", await api.token("lak"))
    assert (response.status, await response.read()) == (204, b"")
    assert response.headers["X-Auth-Username"] == "lak"
    assert response.headers["X-Auth-Role"] == "customer"
    me = await (await api.request("GET", "/me", await api.token("lak"))).json()
    assert response.headers["X-Auth-Subject"] == me["user"]["id"]
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("username", "field"),
    [
        ("Zoë", "Zo%C3%AB"),
        ("山田太郎", "%E5%B1%B1%E7%94%B0%E5%A4%AA%E9%83%8E"),
        ("100%", "100%25"),
        ("100%25", "100%2525"),
        ('o\'neil;a="b",c\\d', 'o\'neil;a="b",c\\d'),
        ("lak.perera+x@example.com", "lak.perera+x@example.com"),
        ("é" * 128, "%C3%A9" * 128),
    ],
)
async def test_a_name_in_a_field_is_ascii_that_can_be_read_back(api: Api, username: str, field: str) -> None:
    await api.services.users.create(username, "Name", "customer", PASSWORD)
    response = await api.request("GET", "/verify", await api.token(username))
    assert response.headers["X-Auth-Username"] == field
    assert unquote(field) == username


async def test_a_role_is_checked_with_inclusion(api: Api) -> None:
    admin, customer = await api.token("sahan"), await api.token("lak")
    assert (await api.request("GET", "/verify?role=customer", admin)).status == 204
    assert (await api.request("GET", "/verify?role=admin", admin)).status == 204
    problem = await api.problem(await api.request("GET", "/verify?role=admin", customer), 403, "insufficient_role")
    assert (problem["required"], problem["role"]) == (["admin"], "customer")


@pytest.mark.parametrize("query", ["role=emperor", "role=", "role=admin&role=admin", "rôle=admin"])
async def test_a_wrong_query_is_refused(api: Api, query: str) -> None:
    response = await api.request("GET", f"/verify?{query}", await api.token("sahan"))
    await api.problem(response, 422, "invalid_request")


async def test_an_override_decides_in_place_of_the_default(start_api: StartApi) -> None:
    roles = default_roles() | {"support": RoleSettings(includes=("customer",))}
    api = await start_api(roles=roles, access={"GET /users": ("support",)})
    await api.services.users.create("john", "John", "support", "brown otters juggle turnips")
    assert (await api.request("GET", "/users", await api.token("john"))).status == 200
    assert (await api.request("HEAD", "/users", await api.token("john"))).status == 200
    for name in ("lak", "sahan"):
        problem = await api.problem(await api.request("GET", "/users", await api.token(name)), 403, "insufficient_role")
        assert problem["required"] == ["support"]
    rows = (await (await api.request("GET", "/routes", await api.token("sahan"))).json())["routes"]
    row = next(row for row in rows if (row["method"], row["path"]) == ("GET", "/users"))
    told = {"method": "GET", "path": "/users", "access": "support", "roles": ["support"], "recent": ""}
    assert row == told | {"overridden": True}


async def test_the_role_table_is_for_admins(api: Api) -> None:
    await api.problem(await api.request("GET", "/routes", await api.token("lak")), 403, "insufficient_role")
    rows = (await (await api.request("GET", "/routes", await api.token("sahan"))).json())["routes"]
    access = {f"{row['method']} {row['path']}": row["access"] for row in rows}
    assert access["POST /login"] == "anyone"
    assert access["GET /me"] == "any user"
    assert access["GET /users/{user_id}"] == "admin"
