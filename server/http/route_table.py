"""The effective role table: the rows of routes.py with the overrides of `[access]`, bound to the router."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiohttp import hdrs, web
from aiohttp.web_urldispatcher import AbstractRoute

from server.core.errors import ConfigurationError
from server.http.route import Route
from watchword_client.access import AccessRule, Decision, Roles, only


@dataclass(frozen=True, slots=True)
class Row:
    """A route with the rule in force. `sufficient` is the rule worked out: the roles that may, or None for any."""

    route: Route
    access: AccessRule
    sufficient: frozenset[str] | None
    overridden: bool

    @property
    def path(self) -> str:
        """The route's template."""
        return self.route.path

    @property
    def open_to_anyone(self) -> bool:
        """Whether it takes no token."""
        return not self.access.takes_token


class AccessTable:
    """All rows. Raises ConfigurationError for an override that fits no route."""

    def __init__(self, roles: Roles, overrides: Mapping[str, tuple[str, ...]], routes: Iterable[Route]) -> None:
        self._roles = roles
        self.rows = tuple(self._row(route, overrides) for route in routes)
        self._bound: dict[AbstractRoute, Row] = {}
        _check_overrides(overrides, {row.route.name: row.route for row in self.rows})

    def _row(self, route: Route, overrides: Mapping[str, tuple[str, ...]]) -> Row:
        overridden = route.name in overrides
        access = only(*overrides[route.name]) if overridden else route.access
        return Row(route, access, self._roles.sufficient(access), overridden)

    def register(self, router: web.UrlDispatcher) -> None:
        """Add every row to the router. A GET answers HEAD too (RFC 9110 section 9.3.2)."""
        for row in self.rows:
            methods = (hdrs.METH_GET, hdrs.METH_HEAD) if row.route.method == hdrs.METH_GET else (row.route.method,)
            for method in methods:
                self._bound[router.add_route(method, row.route.path, row.route.handler)] = row

    def require_rows(self, router: web.UrlDispatcher) -> None:
        """Refuse to start with a route that nobody decided about."""
        for route in router.routes():
            if route not in self._bound:
                name = f"{route.method} {route.resource.canonical if route.resource else '?'}"
                raise ConfigurationError([f"route {name}: has no row in a routes.py; add one with its access"])

    def rule_of(self, request: web.Request) -> Row | None:
        """The row of a request; None where no route matches (404, 405)."""
        return self._bound.get(request.match_info.route)

    def listing(self) -> list[dict[str, object]]:
        """The rows for people and programs: RouteAnswer in http/schemas.py."""
        return [
            {
                "method": row.route.method,
                "path": row.route.path,
                "access": str(row.access),
                "roles": sorted(row.sufficient) if row.sufficient is not None else [],
                "overridden": row.overridden,
            }
            for row in self.rows
        ]

    def allowed_to(self, role: str) -> list[dict[str, object]]:
        """The routes that a caller of that role may call: InspectedRoute in http/schemas.py."""
        return [
            {"method": row.route.method, "path": row.path, "summary": row.route.summary, "access": str(row.access)}
            for row in self.rows
            if self._roles.decide(row.access, role).allowed
        ]

    def explain(self, method: str, path: str, role: str | None) -> tuple[Row, Decision] | None:
        """What the middleware would decide for that role; None if there is no such route."""
        for row in self.rows:
            same_method = row.route.method == method or (method, row.route.method) == (hdrs.METH_HEAD, hdrs.METH_GET)
            if same_method and _matches(row.route.path, path):
                return row, self._roles.decide(row.access, role)
        return None


def _matches(template: str, path: str) -> bool:
    """Whether a path is one of a template's, or the template itself."""
    wanted, given = template.split("/"), path.split("/")
    return len(wanted) == len(given) and all(
        (part.startswith("{") and value != "") or part == value for part, value in zip(wanted, given, strict=True)
    )


def _check_overrides(overrides: Mapping[str, tuple[str, ...]], routes: Mapping[str, Route]) -> None:
    problems = []
    for name in overrides:
        route = routes.get(name)
        if route is None:
            problems.append(f'access."{name}": there is no such route; the command `routes` lists them')
        elif route.fixed:
            problems.append(f'access."{name}": this route must stay open to anyone; remove the line')
    if problems:
        raise ConfigurationError(problems)
