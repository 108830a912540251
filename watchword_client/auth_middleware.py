"""The global auth middleware: who calls, and whether they may. Ours, and one for any other aiohttp application."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from watchword_client.access import DEFAULT_ROLES, AccessRule
from watchword_client.bearer import bearer_token
from watchword_client.claims import AccessClaims
from watchword_client.errors import ApiError, InsufficientRole, Unauthorized
from watchword_client.role_table import DeclaredRules
from watchword_client.token_verifier import TokenVerifier

CLAIMS: web.RequestKey[AccessClaims] = web.RequestKey("claims", AccessClaims)
# Whose token was refused since it is revoked: for the log. Nobody has the claims then.
REVOKED_SUBJECT: web.RequestKey[str] = web.RequestKey("revoked_subject", str)
# The template of the route, as in a role table without the method; absent where no route matches.
ROUTE: web.RequestKey[str] = web.RequestKey("route", str)


class Rule(Protocol):
    """What a role table says of a route. `sufficient`: the roles that may, inclusion worked out; None for any."""

    @property
    def path(self) -> str:
        """The route's template."""
        ...

    @property
    def access(self) -> AccessRule:
        """The rule as it was declared."""
        ...

    @property
    def sufficient(self) -> frozenset[str] | None:
        """The roles that satisfy it."""
        ...


class Rules(Protocol):
    """A role table."""

    def rule_of(self, request: web.Request) -> Rule | None:
        """The rule of a request; None where no route matches (404, 405)."""
        ...


class Authenticating(Protocol):
    """Makes claims of tokens."""

    def remembered(self, token: str) -> AccessClaims | None:
        """The claims of a token that was verified before and is still good; None if unsure."""
        ...

    async def verify(self, token: str) -> AccessClaims:
        """The claims. Raises an Unauthorized."""
        ...


def guard(rules: Rules, authenticator: Authenticating) -> Middleware:
    """Reads the bearer token, attaches its claims to the request, decides by the route's rule. Raises ApiError."""

    @web.middleware
    async def decide(request: web.Request, handler: Handler) -> web.StreamResponse:
        rule = rules.rule_of(request)
        if rule is None:
            # The router's 404 or 405: every route has a rule.
            return await handler(request)
        request[ROUTE] = rule.path
        if not rule.access.takes_token:
            return await handler(request)
        token = bearer_token(request)
        try:
            claims = authenticator.remembered(token) or await authenticator.verify(token)
        except Unauthorized as error:
            if error.subject is not None:
                request[REVOKED_SUBJECT] = error.subject
            raise
        # Before the decision, so the log knows who was refused.
        request[CLAIMS] = claims
        if rule.sufficient is not None and claims.role not in rule.sufficient:
            raise InsufficientRole(required=list(rule.access.roles or ()), role=claims.role)
        return await handler(request)

    return decide


def claims_of(request: web.Request) -> AccessClaims:
    """Who calls. Only for routes that take a token: the middleware has put the claims there."""
    return request[CLAIMS]


def auth_middleware(
    verifier: TokenVerifier, access: Mapping[str, AccessRule], roles: Mapping[str, Sequence[str]] = DEFAULT_ROLES
) -> Middleware:
    """Guards any aiohttp application by tokens of a Watchword.

    `access` has a rule for each route, `{"GET /users/{id}": only("admin")}`, named by its template; a static route by
    its prefix; a route without a rule is closed, and so are two resources of one template. `roles` are those of the
    Watchword, with what each includes. Refusals are problems (RFC 9457) with the codes that Watchword gives; a handler
    finds the caller with `claims_of(request)`. `protect` does the same and more. Raises ConfigurationError for a name
    or role that can't be.
    """
    return _answering(guard(DeclaredRules(access, roles), verifier))


def protect(
    app: web.Application,
    verifier: TokenVerifier,
    access: Mapping[str, AccessRule],
    roles: Mapping[str, Sequence[str]] = DEFAULT_ROLES,
) -> None:
    """Adds `auth_middleware` to an application, checks its routes at the start, and closes the verifier at the end.

    The start fails with ConfigurationError for a route without a rule, a rule without a route, and two routes of one
    name, such as one path on two domains. Raises ConfigurationError as `auth_middleware` does.
    """
    rules = DeclaredRules(access, roles)
    app.middlewares.append(_answering(guard(rules, verifier)))

    async def living(app: web.Application) -> AsyncIterator[None]:
        rules.require_all(app.router)
        try:
            yield
        finally:
            await verifier.close()

    app.cleanup_ctx.append(living)


def _answering(guarding: Middleware) -> Middleware:
    """Turn the guard's refusals into answers, where no edge does so."""

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
                # The application's own.
                raise
            return _refusal(error)

    return answer


def _refusal(error: ApiError) -> web.Response:
    body = json.dumps(error.problem("about:blank")).encode()
    response = web.Response(body=body, status=error.status, content_type="application/problem+json")
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    response.headers.update(error.headers())
    return response
