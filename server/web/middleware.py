"""The global auth middleware: who calls, and whether they may."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from server.context import CLAIMS, ROUTE
from server.errors import InsufficientRole
from server.sessions.authenticator import Authenticator
from server.web.bearer import bearer_token
from server.web.table import AccessTable


def access_middleware(*, table: AccessTable, authenticator: Authenticator) -> Middleware:
    """Reads the bearer token, attaches its claims to the request, decides by the route's row."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        row = table.row_of(request)
        if row is None:
            # The router's 404 or 405: there is no way to start with a route that has no row.
            return await handler(request)
        request[ROUTE] = row.route.path
        if row.open_to_anyone:
            return await handler(request)
        token = bearer_token(request)
        claims = authenticator.remembered(token) or await authenticator.authenticate(token)
        if row.sufficient is not None and claims.role not in row.sufficient:
            raise InsufficientRole(required=list(row.access.roles), role=claims.role)
        request[CLAIMS] = claims
        return await handler(request)

    return guard
