"""GET /explain: the decision of the middleware, without a call."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from server.settings.tree import RoleSettings, default_roles
from tests.running import Api, StartApi


async def explained(api: Api, token: str, **query: str) -> tuple[bool, str]:
    response = await api.request("GET", f"/explain?{urlencode(query)}", token)
    assert response.status == 200, await response.text()
    answer = await response.json()
    assert set(answer) == {"method", "path", "allowed", "reason", "recent"}
    assert answer["recent"] == ("always" if query["method"] == "DELETE" else "")
    return answer["allowed"], answer["reason"]


async def test_it_decides_by_the_rules_in_force(start_api: StartApi) -> None:
    roles = default_roles() | {"support": RoleSettings(includes=("customer",))}
    api = await start_api(roles=roles, access={"GET /users": ("support",)})
    token = await api.token("sahan")
    assert await explained(api, token, method="GET", path="/users", role="support") == (
        True, "it is open to: support"
    )  # fmt: skip
    assert (await explained(api, token, method="get", path="/users?q=x", role="admin"))[0] is False
    assert (await explained(api, token, method="HEAD", path="/me"))[0] is False
    assert (await explained(api, token, method="POST", path="/login"))[0] is True
    # Said and done are the same.
    await api.problem(await api.request("GET", "/users", token), 403, "insufficient_role")


async def test_it_takes_real_paths_and_those_of_the_table(api: Api) -> None:
    token = await api.token("sahan")
    for path in ("/users/{user_id}", "/users/019aa7d0-3f1c-7a58-b2e4-6d9c0f5a1b37", "/users/é"):
        assert await explained(api, token, method="DELETE", path=path, role="admin") == (True, "it is open to: admin")


@pytest.mark.parametrize("path", ["/nothing", "users", "/users/", "//users", "*"])
async def test_an_unknown_route_is_not_found(api: Api, path: str) -> None:
    response = await api.request(
        "GET", f"/explain?{urlencode({'method': 'GET', 'path': path})}", await api.token("sahan")
    )
    await api.problem(response, 404, "not_found")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("path=/me", "method"),
        ("method=GET", "path"),
        ("method=&path=/me", "method"),
        ("method=G%20T&path=/me", "method"),
        (f"method={'G' * 17}&path=/me", "method"),
        ("method=GET&path=", "path"),
        ("method=GET&path=/%00", "path"),
        ("method=GET&path=/%0D%0A", "path"),
        (f"method=GET&path=/{'x' * 3000}", "path"),
        ("method=GET&path=/me&role=nobody", "role"),
        ("method=GET&path=/me&role=", "role"),
        ("method=GET&path=/me&path=/users", "path"),
        ("method=GET&path=/me&token=x", "token"),
    ],
)
async def test_a_wrong_query_is_refused(api: Api, query: str, field: str) -> None:
    response = await api.request("GET", f"/explain?{query}", await api.token("sahan"))
    problem = await api.problem(response, 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == [field]
