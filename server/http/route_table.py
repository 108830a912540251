"""The route table: the rows of all features with the rules in force, for router, middleware and documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiohttp import hdrs, web

from server.access.rules import rules_in_force
from server.http.route import GuardedRoute, Route
from watchword_client.access import Roles
from watchword_client.role_table import RoleTable


class RouteTable:
    """All routes. Raises ConfigurationError for an override that fits no route."""

    def __init__(self, routes: Iterable[Route], roles: Roles, overrides: Mapping[str, tuple[str, ...]]) -> None:
        declared = {route.name: route for route in routes}
        rules = rules_in_force(
            {name: route.access for name, route in declared.items()},
            [name for name, route in declared.items() if route.fixed],
            overrides,
        )
        self._roles = roles
        self.role_table = RoleTable(rules, roles)
        self.rows = tuple(GuardedRoute(route, rules[name], name in overrides) for name, route in declared.items())

    def register(self, router: web.UrlDispatcher) -> None:
        """Add every route to the router. A GET answers HEAD too (RFC 9110 section 9.3.2)."""
        for row in self.rows:
            route = row.route
            for method in (hdrs.METH_GET, hdrs.METH_HEAD) if route.method == hdrs.METH_GET else (route.method,):
                router.add_route(method, route.path, route.handler)

    def listing(self) -> list[dict[str, object]]:
        """The rows in the form of RouteAnswer (documents/schemas.py)."""
        return [
            {
                "method": row.route.method,
                "path": row.route.path,
                "access": str(row.rule),
                "roles": sorted(self._roles.sufficient(row.rule) or ()),
                "overridden": row.overridden,
            }
            for row in self.rows
        ]

    def routes_for(self, role: str) -> list[dict[str, object]]:
        """The routes that this role may call, in the form of InspectedRoute (inspection/schemas.py)."""
        return [
            {
                "method": row.route.method,
                "path": row.route.path,
                "summary": row.route.summary,
                "access": str(row.rule),
            }
            for row in self.rows
            if self._roles.decide(row.rule, role).allowed
        ]
