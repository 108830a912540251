"""The route table: the rows of all features with the rules in force, for router, middleware and documents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

from aiohttp import hdrs, web

from server.access.rules import rules_in_force
from server.core.turns import Turns
from server.http.route import ALWAYS, GuardedRoute, Handler, Route
from watchword_client.access import Roles
from watchword_client.role_table import RoleTable

# Raises an ApiError if the sign-in of the caller is not recent.
RequireRecent = Callable[[web.Request], Awaitable[None]]


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

    def register(self, router: web.UrlDispatcher, require_recent: RequireRecent, turns: Turns) -> None:
        """Add every route to the router. A GET answers HEAD too (RFC 9110 section 9.3.2)."""
        for row in self.rows:
            route = row.route
            handler = _recent_first(route.handler, require_recent) if route.recent == ALWAYS else route.handler
            if not route.immediate:
                handler = _in_turn(handler, turns)
            for method in (hdrs.METH_GET, hdrs.METH_HEAD) if route.method == hdrs.METH_GET else (route.method,):
                router.add_route(method, route.path, handler)

    def immediate_paths(self) -> list[str]:
        """The paths of the immediate routes."""
        return [row.route.path for row in self.rows if row.route.immediate]

    def recent(self, name: str) -> str:
        """When the route of that name asks for a recent sign-in, in the form of Route.recent."""
        return next(row.route.recent for row in self.rows if row.route.name == name)

    def listing(self) -> list[dict[str, object]]:
        """The rows in the form of RouteAnswer (documents/schemas.py)."""
        return [
            {
                "method": row.route.method,
                "path": row.route.path,
                "access": str(row.rule),
                "roles": sorted(self._roles.sufficient(row.rule) or ()),
                "overridden": row.overridden,
                "recent": row.route.recent,
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


def _in_turn(handler: Handler, turns: Turns) -> Handler:
    """The handler when it is its turn, so many requests that come together hold up no check of a token."""

    async def wait(request: web.Request) -> web.StreamResponse:
        await turns.turn()
        return await handler(request)

    return wait


def _recent_first(handler: Handler, require_recent: RequireRecent) -> Handler:
    """The handler behind that question. Other routes are not wrapped, so the question costs them nothing."""

    async def ask(request: web.Request) -> web.StreamResponse:
        await require_recent(request)
        return await handler(request)

    return ask
