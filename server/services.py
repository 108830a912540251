"""What handlers find on the application: the services and the documents, each under a key that has its type."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from server.audit.service import Audit
from server.authentication.service import Authentication
from server.authentication.throttling import Throttle
from server.challenges.service import Challenges
from server.core.clock import Clock
from server.core.ids import Ids
from server.core.observer import Observer, Outcomes
from server.core.turns import Turns
from server.emails.confirmations import Confirmations
from server.emails.service import Emails
from server.health.service import Readiness
from server.http.edge import Around, RequestWatcher
from server.http.route_table import RouteTable
from server.keys.service import KeyService
from server.mail.mailing import Mailing
from server.mail.outbox import Outbox
from server.mail.outbox_model import MailResult
from server.mail.service import Mails
from server.nodes.service import Nodes
from server.pages.page import Page
from server.passwords.pool import HashPool
from server.recovery.service import Recovery
from server.registration.invitations import Invitations
from server.registration.service import Registration
from server.repositories import Repositories
from server.sessions.bearer_authenticator import BearerAuthenticator, TokenWatcher
from server.sessions.refresh import RefreshRotation
from server.sessions.revocation import Revocations
from server.sessions.service import Sessions
from server.settings import Settings
from server.statistics.service import Statistics
from server.users.passwords import UserPasswords
from server.users.service import Users
from watchword_client.access import Roles
from watchword_client.token_verifier import TokenVerifier

# The routes that a role may call.
RoutesFor = Callable[[str], list[dict[str, object]]]


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who is told of what this process does: metrics and traces, if they are switched on, else nobody."""

    observer: Observer | None = None
    requests: RequestWatcher | None = None
    # Is around the answering of each request.
    around: Around | None = None
    tokens: TokenWatcher | None = None
    mails: Callable[[MailResult], None] | None = None
    outcomes: Outcomes = field(default_factory=Outcomes)
    # Called each time that revocations and keys were read.
    followed: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that handlers and commands call. app.py constructs it, at the start and at each reload."""

    settings: Settings
    clock: Clock
    ids: Ids
    roles: Roles
    repositories: Repositories
    hashes: HashPool
    preferred_hashes: HashPool
    keys: KeyService
    revocations: Revocations
    throttle: Throttle
    authentication: Authentication
    users: Users
    emails: Emails
    confirmations: Confirmations
    outbox: Outbox
    challenges: Challenges
    mails: Mails
    # None: this process sends none.
    mailing: Mailing | None
    user_passwords: UserPasswords
    sessions: Sessions
    refresh_rotation: RefreshRotation
    invitations: Invitations
    registration: Registration
    recovery: Recovery
    audit: Audit
    statistics: Statistics
    verifier: TokenVerifier
    authenticator: BearerAuthenticator
    readiness: Readiness
    watchers: Watchers
    turns: Turns
    nodes: Nodes


@dataclass(frozen=True, slots=True)
class Documents:
    """The role table, the OpenAPI document and pages. What is sent is made when it is asked for, once.

    So it costs nothing at a start and a reload, and nothing where nobody reads it.
    """

    routes: list[dict[str, object]]
    routes_for: RoutesFor
    table: RouteTable
    openapi: Callable[[], bytes]
    docs: Callable[[], Page]
    inspect: Callable[[], Page]


SERVICES: web.AppKey[Services] = web.AppKey("services", Services)
DOCUMENTS: web.AppKey[Documents] = web.AppKey("documents", Documents)


def services_of(request: web.Request) -> Services:
    """The services of the application that got this request."""
    return request.app[SERVICES]
