"""The rules of this server's routes, and what is said of them without a request."""

from __future__ import annotations

import pytest

from server.access.explain import explain
from server.core.errors import ConfigurationError
from server.http.route_table import RouteTable
from server.routes import ROUTES
from watchword_client.access import DEFAULT_ROLES, Roles

ROLES = Roles(DEFAULT_ROLES)


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("GET /nothing", "no such route"),
        ("POST /login", "must stay open"),
        ("GET /.well-known/jwks.json", "must stay open"),
    ],
)
def test_an_override_has_to_fit_a_route(override: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        RouteTable(ROUTES, ROLES, {override: ("admin",)})


@pytest.mark.parametrize(
    ("method", "path", "row"),
    [
        ("GET", "/users", "GET /users"),
        ("HEAD", "/users", "GET /users"),
        ("GET", "/users/5", "GET /users/{user_id}"),
        ("GET", "/users/{user_id}", "GET /users/{user_id}"),
        ("GET", "/users/", None),
        ("DELETE", "/login", None),
        ("GET", "/users/5/6/7", None),
    ],
)
def test_explain_finds_the_row_that_the_router_would(method: str, path: str, row: str | None) -> None:
    found = explain(RouteTable(ROUTES, ROLES, {}).role_table, method, path, "admin")
    assert (None if found is None else found[0]) == row
