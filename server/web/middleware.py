"""What every request passes: the edge (request id, errors, CORS, log), then authentication and authorisation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from server.clock import Clock
from server.config.settings import Network
from server.context import CLAIMS, REQUEST_ID
from server.errors import (
    ApiError,
    InsufficientRole,
    InternalError,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
)
from server.ids import Ids
from server.observe.requests import RequestLog
from server.sessions.authenticator import Authenticator
from server.web.bearer import bearer_token
from server.web.client_ip import client_ip
from server.web.cors import Cors
from server.web.problem import REQUEST_ID_HEADER, problem_response
from server.web.table import AccessTable

_log = structlog.get_logger("watchword.web")


def edge_middleware(
    *, clock: Clock, ids: Ids, cors: Cors, log: RequestLog | None, trusted: Sequence[Network]
) -> Middleware:
    """Outermost: every request gets an id, every failure becomes a problem, every answer a log line."""

    @web.middleware
    async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = clock.monotonic()
        request_id = request[REQUEST_ID] = ids.new_request_id()
        try:
            response = await handler(request)
            response.headers[REQUEST_ID_HEADER] = request_id
        except ApiError as error:
            response = problem_response(error, request_id)
        except web.HTTPException as error:
            response = cors.preflight(request, error, request_id) or problem_response(_from_aiohttp(error), request_id)
        except asyncio.CancelledError:
            if log is not None:
                log.write(request, 499, started, client_ip(request, trusted))
            raise
        except Exception:  # noqa: BLE001 - the last line: a defect is logged whole and answered without detail
            _log.exception("request failed", request_id=request_id)
            response = problem_response(InternalError(), request_id)
        if cors.active:
            cors.decorate(request, response)
        if log is not None:
            log.write(request, response.status, started, client_ip(request, trusted))
        return response

    return edge


def _from_aiohttp(error: web.HTTPException) -> ApiError:
    """The router's and the framework's own refusals, as ours."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(sorted(error.allowed_methods))
    if error.status == 404:
        return NotFound()
    if error.status == 413:
        return PayloadTooLarge()
    return MalformedRequest()


def access_middleware(*, table: AccessTable, authenticator: Authenticator) -> Middleware:
    """The global guard: reads the bearer token, attaches its claims to the request, decides by the route's row."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        row = table.row_of(request)
        if row is None or row.open_to_anyone:
            return await handler(request)
        token = bearer_token(request)
        claims = authenticator.remembered(token) or await authenticator.authenticate(token)
        if row.sufficient is not None and claims.role not in row.sufficient:
            raise InsufficientRole(required=list(row.access.roles), role=claims.role)
        request[CLAIMS] = claims
        return await handler(request)

    return guard
