"""The route table, with the rows of all features: one row for each endpoint.

A row has access, body, answers and documentation of a route. It is in the routes.py of its feature. The start fails if
the router has a route without a row, and a request to it would be refused. OpenAPI, /docs, `GET /routes` and `python -m
server routes` are made from this table.
"""

from __future__ import annotations

from server.audit import routes as audit
from server.documents import routes as documents
from server.emails import routes as emails
from server.health import routes as health
from server.http.route import Route
from server.http.route_table import RouteTable
from server.inspection import routes as inspection
from server.keys import routes as keys
from server.mail import routes as mail
from server.pages import routes as pages
from server.recovery import routes as recovery
from server.registration import routes as registration
from server.sessions import routes as sessions
from server.settings import Settings
from server.statistics import routes as statistics
from server.users import routes as users
from watchword_client.access import Roles, only

ROUTES: tuple[Route, ...] = (
    *sessions.ROUTES,
    *recovery.ROUTES,
    *users.ROUTES,
    *emails.ROUTES,
    *registration.ROUTES,
    *mail.ROUTES,
    *audit.ROUTES,
    *inspection.ROUTES,
    *keys.ROUTES,
    *statistics.ROUTES,
    *documents.ROUTES,
    *pages.ROUTES,
    *health.ROUTES,
)


def route_table(settings: Settings) -> RouteTable:
    """The table in force. Raises ConfigurationError for an override that fits no route."""
    routes = ROUTES if settings.pages.enabled else [route for route in ROUTES if route not in pages.PAGES]
    return RouteTable(routes, Roles(settings.role_includes), settings.access)


def privileged_roles(settings: Settings) -> frozenset[str]:
    """The roles that may call an admin's route which asks for a recent sign-in.

    By default these are the role admin and those that include it; `[access]` may let others in.
    """
    roles, found = Roles(settings.role_includes), frozenset[str]()
    for route in ROUTES:
        # What every user may call by default is about their own account.
        if route.recent and route.access.roles is not None:
            rule = only(*settings.access[route.name]) if route.name in settings.access else route.access
            found |= roles.sufficient(rule) or frozenset()
    return found
