"""Every key under which something hangs on the application or on a request, with its type."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from server.access import RoleTable
from server.clock import Clock
from server.config import Settings
from server.ids import Ids
from server.passwords.pool import HashPool
from server.sessions.authenticator import Authenticator
from server.sessions.service import Sessions
from server.store.protocol import Store
from server.tokens.claims import AccessClaims
from server.tokens.keyservice import KeyService
from server.tokens.revocation import Revocations
from server.users.service import Users


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that handlers and commands call, constructed once in app.py."""

    settings: Settings
    clock: Clock
    ids: Ids
    roles: RoleTable
    store: Store
    hashes: HashPool
    keys: KeyService
    revocations: Revocations
    users: Users
    sessions: Sessions
    authenticator: Authenticator


@dataclass(frozen=True, slots=True)
class Documents:
    """What the server says of itself, made once at the start."""

    routes: list[dict[str, object]]
    openapi: bytes
    page: bytes
    page_policy: str


SERVICES: web.AppKey[Services] = web.AppKey("services", Services)
DOCUMENTS: web.AppKey[Documents] = web.AppKey("documents", Documents)
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
# The template of the route, as in `[access]` without the method; absent where no route matches.
ROUTE: web.RequestKey[str] = web.RequestKey("route", str)
CLAIMS: web.RequestKey[AccessClaims] = web.RequestKey("claims", AccessClaims)


def services_of(request: web.Request) -> Services:
    """The services of the application that got this request."""
    return request.app[SERVICES]


def claims_of(request: web.Request) -> AccessClaims:
    """Who calls. Only for routes that take a token: the middleware has put the claims there."""
    return request[CLAIMS]
