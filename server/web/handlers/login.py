"""Logging in, and checking a token for somebody else."""

from __future__ import annotations

from aiohttp import web

from server.context import claims_of, services_of
from server.errors import InsufficientRole, InvalidRequest
from server.sessions.service import Client, IssuedTokens
from server.web.body import read_query
from server.web.handlers.parse import body_of, client_of
from server.web.problem import empty_response, json_response
from server.web.schemas import LoginBody, VerifyQuery


async def log_in(request: web.Request) -> web.Response:
    """POST /login."""
    body = await body_of(request, LoginBody)
    client: Client = client_of(request)
    return tokens_response(await services_of(request).sessions.log_in(body.username, body.password, client))


def tokens_response(tokens: IssuedTokens) -> web.Response:
    """The answer that carries tokens."""
    return json_response(
        {
            "token": tokens.access_token,
            "token_type": "Bearer",
            "expires_in": tokens.expires_in,
            "refresh_token": tokens.refresh_token,
            "refresh_expires_in": tokens.refresh_expires_in,
        }
    )


async def verify(request: web.Request) -> web.Response:
    """GET /verify: the guard has checked the token; what is left is the role."""
    claims = claims_of(request)
    if request.query_string:
        wanted = read_query(request, VerifyQuery).role
        roles = services_of(request).roles
        if wanted is not None:
            if wanted not in roles:
                raise InvalidRequest([("role", f"There is no such role. Roles: {', '.join(roles.names())}.")])
            if not roles.has(claims.role, wanted):
                raise InsufficientRole(required=[wanted], role=claims.role)
    return empty_response(
        {"X-Auth-Subject": claims.subject, "X-Auth-Username": claims.username, "X-Auth-Role": claims.role}
    )
