"""The global auth middleware: who calls, and whether they may. Ours, and one for any other aiohttp application."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from aiohttp.web_urldispatcher import AbstractRoute

from server.access import Access, Kind, RoleTable, only
from server.config.settings import RoleSettings
from server.errors import ApiError, ConfigurationError, InsufficientRole
from server.tokens.bearer import bearer_token
from server.tokens.claims import AccessClaims
from server.tokens.token_verifier import TokenVerifier

CLAIMS: web.RequestKey[AccessClaims] = web.RequestKey("claims", AccessClaims)
# The template of the route, as in a role table without the method; absent where no route matches.
ROUTE: web.RequestKey[str] = web.RequestKey("route", str)

DEFAULT_ROLES: Mapping[str, Sequence[str]] = {"customer": (), "admin": ("customer",)}

# A route in a role table: method and template.
_NAME = re.compile(r"(?:[A-Z][A-Z-]*|\*) /\S*")

_log = structlog.get_logger("watchword.guard")


class Rule(Protocol):
    """What a role table says of a route. `sufficient`: the roles that may, inclusion worked out; None for any."""

    @property
    def path(self) -> str:
        """The route's template."""
        ...

    @property
    def access(self) -> Access:
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
        if rule.access.kind is Kind.ANYONE:
            return await handler(request)
        token = bearer_token(request)
        claims = authenticator.remembered(token) or await authenticator.verify(token)
        if rule.sufficient is not None and claims.role not in rule.sufficient:
            raise InsufficientRole(required=list(rule.access.roles), role=claims.role)
        request[CLAIMS] = claims
        return await handler(request)

    return decide


def claims_of(request: web.Request) -> AccessClaims:
    """Who calls. Only for routes that take a token: the middleware has put the claims there."""
    return request[CLAIMS]


@dataclass(frozen=True, slots=True)
class _DeclaredRule:
    path: str
    access: Access
    sufficient: frozenset[str] | None


class _DeclaredRules:
    """`{"GET /reports": only("admin")}`. A route that is not declared is closed to everybody."""

    def __init__(self, access: Mapping[str, Access], roles: Mapping[str, Sequence[str]]) -> None:
        """Raises ConfigurationError for a name that no route has, and for a role that there is not."""
        problems = [
            f"access {name!r}: a rule is named by method and path, as GET /reports; HEAD has the rule of GET"
            for name in access
            if not _NAME.fullmatch(name) or name.startswith("HEAD ")
        ]
        named = {role for rule in access.values() for role in rule.roles}.union(*roles.values())
        problems += [f"roles: there is no role {role!r}; name it in roles" for role in sorted(named - roles.keys())]
        if problems:
            raise ConfigurationError(problems)
        table = RoleTable({name: RoleSettings(includes=tuple(includes)) for name, includes in roles.items()})
        self._rules = {
            name: _DeclaredRule(name.partition(" ")[2], rule, table.sufficient(rule)) for name, rule in access.items()
        }

    def rule_of(self, request: web.Request) -> Rule | None:
        """The rule of the route that was found."""
        if request.match_info.http_exception is not None:
            return None
        name = _name_of(request.match_info.route)
        rule = self._rules.get(name)
        if rule is None:
            _log.error("a route without a rule is closed", route=name)
            rule = self._rules[name] = _DeclaredRule(name.partition(" ")[2], only(), frozenset())
        return rule

    def require_all(self, router: web.UrlDispatcher) -> None:
        """Raises ConfigurationError for a route without a rule, and for a rule without a route."""
        names = {_name_of(route) for route in router.routes()}
        problems = [f"route {name}: has no rule; add it to access" for name in sorted(names - self._rules.keys())]
        problems += [f"access {name!r}: there is no such route" for name in sorted(self._rules.keys() - names)]
        if problems:
            raise ConfigurationError(problems)


def _name_of(route: AbstractRoute) -> str:
    """Method and template; HEAD as GET (RFC 9110 section 9.3.2). The method is * where a route takes them all."""
    method = hdrs.METH_GET if route.method == hdrs.METH_HEAD else route.method
    template = route.resource.canonical if route.resource is not None else ""
    return f"{method} {template or '/'}"


def auth_middleware(
    verifier: TokenVerifier, access: Mapping[str, Access], roles: Mapping[str, Sequence[str]] = DEFAULT_ROLES
) -> Middleware:
    """Guards any aiohttp application by tokens of a Watchword.

    `access` has a rule for each route, `{"GET /users/{id}": only("admin")}`, named by its template; a static route by
    its prefix; a route without a rule is closed. `roles` are those of the Watchword, with what each includes. Refusals
    are problems (RFC 9457) with the codes that Watchword gives; a handler finds the caller with `claims_of(request)`.
    `protect` does the same and more. Raises ConfigurationError for a name or role that can't be.
    """
    return _answering(guard(_DeclaredRules(access, roles), verifier))


def protect(
    app: web.Application,
    verifier: TokenVerifier,
    access: Mapping[str, Access],
    roles: Mapping[str, Sequence[str]] = DEFAULT_ROLES,
) -> None:
    """Adds `auth_middleware` to an application, checks its routes at the start, and closes the verifier at the end.

    The start fails with ConfigurationError for a route without a rule, or a rule without a route. Raises
    ConfigurationError as `auth_middleware` does.
    """
    rules = _DeclaredRules(access, roles)
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
