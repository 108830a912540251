"""The global auth middleware of Watchword and of any other aiohttp application: it authenticates and authorises."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol, TypeVar

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from watchword_client.access import DEFAULT_ROLES, AccessRule, Roles
from watchword_client.bearer import BearerTokens
from watchword_client.claims import AccessClaims
from watchword_client.errors import ApiError, InsufficientRole, Unauthorized
from watchword_client.role_table import RoleTable
from watchword_client.token_verifier import TokenVerifier

CLAIMS: web.RequestKey[AccessClaims] = web.RequestKey("claims", AccessClaims)
# The user of a genuine credential that was refused, such as a revoked token. It is only for the log.
REFUSED_SUBJECT: web.RequestKey[str] = web.RequestKey("refused_subject", str)
# The template of the route, as in a role table but without the method; absent if no route matches.
ROUTE: web.RequestKey[str] = web.RequestKey("route", str)


class Caller(Protocol):
    """The caller, as far as the decision needs to know it."""

    @property
    def role(self) -> str:
        """The role that the rule is compared with."""
        ...


AnyCaller = TypeVar("AnyCaller", bound=Caller)
MadeCaller_co = TypeVar("MadeCaller_co", bound=Caller, covariant=True)


class Authenticator(Protocol[MadeCaller_co]):
    """Determines the caller from the credential in a request."""

    async def authenticate(self, request: web.Request) -> MadeCaller_co:
        """The caller. Raises Unauthorized, or another ApiError if the caller can't be determined now."""
        ...


def guard(
    table: RoleTable, authenticator: Authenticator[AnyCaller], attached_as: web.RequestKey[AnyCaller]
) -> Middleware:
    """Finds the rule of the route, attaches the caller to the request, and decides. Raises ApiError."""

    @web.middleware
    async def decide(request: web.Request, handler: Handler) -> web.StreamResponse:
        bound = table.rule_of(request)
        if bound is None:
            # No route matches: the router answers 404 or 405.
            return await handler(request)
        request[ROUTE] = bound.path
        if not bound.rule.takes_token:
            return await handler(request)
        try:
            caller = await authenticator.authenticate(request)
        except Unauthorized as error:
            if error.subject is not None:
                request[REFUSED_SUBJECT] = error.subject
            raise
        # The caller is attached before the decision, so the log knows who was refused.
        request[attached_as] = caller
        if bound.sufficient is not None and caller.role not in bound.sufficient:
            raise InsufficientRole(required=list(bound.rule.roles or ()), role=caller.role)
        return await handler(request)

    return decide


def claims_of(request: web.Request) -> AccessClaims:
    """The claims of the caller. The middleware attaches them only on routes that require a token."""
    return request[CLAIMS]


def auth_middleware(
    verifier: TokenVerifier, access: Mapping[str, AccessRule], roles: Mapping[str, Sequence[str]] = DEFAULT_ROLES
) -> Middleware:
    """Guards any aiohttp application with access tokens of a Watchword server.

    `access` maps each route to a rule: `{"GET /users/{id}": only("admin")}`. A route is named by its template, a static
    route by its prefix. A route without a rule is closed, and so are two resources with one template. `roles` are the
    roles of the server, with what each includes. Refusals are problems (RFC 9457) with the codes of Watchword. Handlers
    get the caller from `claims_of(request)`. `protect` does the same and more. Raises ConfigurationError for an
    impossible name or role.
    """
    return _answering(guard(RoleTable(access, Roles(roles)), BearerTokens(verifier), CLAIMS))


def protect(
    app: web.Application,
    verifier: TokenVerifier,
    access: Mapping[str, AccessRule],
    roles: Mapping[str, Sequence[str]] = DEFAULT_ROLES,
) -> None:
    """Adds `auth_middleware` to an application, checks its routes at the start, and closes the verifier at the end.

    The start fails with ConfigurationError for a route without a rule, a rule without a route, and two routes with one
    name, such as one path on two domains. Raises ConfigurationError for an impossible name or role.
    """
    table = RoleTable(access, Roles(roles))
    app.middlewares.append(_answering(guard(table, BearerTokens(verifier), CLAIMS)))

    async def living(app: web.Application) -> AsyncIterator[None]:
        table.require_all(app.router)
        try:
            yield
        finally:
            await verifier.close()

    app.cleanup_ctx.append(living)


def _answering(guarding: Middleware) -> Middleware:
    """Turn refusals of the guard into answers. Watchword itself does this in its edge."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        passed = False

        async def on(request: web.Request) -> web.StreamResponse:
            nonlocal passed
            passed = True
            return await handler(request)

        try:
            return await guarding(request, on)
        except ApiError as error:
            if passed:
                # The handler of the application has raised this.
                raise
            return _refusal(error)

    return answer


def _refusal(error: ApiError) -> web.Response:
    body = json.dumps(error.problem("about:blank")).encode()
    response = web.Response(body=body, status=error.status, content_type="application/problem+json")
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    response.headers.update(error.headers())
    return response
