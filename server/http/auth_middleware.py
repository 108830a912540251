"""The one global auth middleware of this server. Every request that has found a route passes it.

Another kind of credential, such as an API key, is another Authenticator that makes a Principal. It is given to this
middleware in app.py; the middleware and the handlers stay as they are. The decision (401, 403) is `guard` in
watchword_client/middleware.py.
"""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Middleware

from server.access.principal import Principal
from watchword_client.middleware import Authenticator, guard
from watchword_client.role_table import RoleTable

PRINCIPAL: web.RequestKey[Principal] = web.RequestKey("principal", Principal)


def auth_middleware(table: RoleTable, authenticator: Authenticator[Principal]) -> Middleware:
    """Attaches the Principal to the request, then decides by the route's rule; a route without a rule is closed."""
    return guard(table, authenticator, PRINCIPAL)


def principal_of(request: web.Request) -> Principal:
    """Who calls. Only for routes that take a token: the middleware has put the principal there."""
    return request[PRINCIPAL]
