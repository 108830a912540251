"""The one global auth middleware of this server. Every request that has found a route passes it.

Another kind of credential, such as an API key, needs another Authenticator that makes a Principal. app.py gives it to
this middleware; the middleware and the handlers do not change. `guard` in watchword_client/middleware.py makes the
decision (401, 403).
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
    """The caller. The middleware attaches it only on routes that require a token."""
    return request[PRINCIPAL]
