"""Constructs all services and connects them. Only accounts.py does this too, for accounts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial

from aiohttp import web

from server import accounts
from server.accounts import Base
from server.audit.chain import AuditChain
from server.audit.service import Audit
from server.authentication.attempts import Attempts
from server.authentication.device import DeviceCookies
from server.authentication.service import Authentication
from server.authentication.throttling import Throttle
from server.core.clock import Clock, SystemClock
from server.core.errors import StoreUnavailable
from server.core.ids import Ids, SystemRandomness
from server.core.turns import Turns
from server.database.migration_files import latest_migration
from server.documents.docs_page import docs_page
from server.documents.openapi import openapi_bytes, openapi_document
from server.health.service import Readiness
from server.http.auth_middleware import auth_middleware
from server.http.context import SERVER_SETTINGS, TRUSTED_NETWORKS
from server.http.immediate import IMMEDIATE, Immediate
from server.http.request_log import RequestLog
from server.http.route_table import RouteTable
from server.http.runner import EdgeRunner
from server.keys.custody import open_custody
from server.keys.service import KeyService
from server.keys.signer import Signer
from server.live import Live
from server.mail.notices import Notices
from server.nodes.model import NodeName
from server.nodes.service import Nodes
from server.pages.pages import PAGES, Pages
from server.pages.rendering import Renderer
from server.passwords.hasher import Hasher
from server.passwords.observed import ObservedHashPool
from server.passwords.pool import HashPool
from server.policies import rotation_policy
from server.repositories import open_repositories
from server.routes import route_table
from server.services import DOCUMENTS, SERVICES, Documents, Services, Watchers
from server.sessions.bearer_authenticator import BearerAuthenticator
from server.sessions.issuing import TokenIssuer
from server.sessions.recent import require_recent
from server.sessions.refresh import RefreshRotation
from server.sessions.refresh_token import RefreshTokens
from server.sessions.revocation import Revocations
from server.sessions.service import Sessions
from server.settings import Settings
from server.statistics.service import Statistics
from watchword_client.access import Roles
from watchword_client.token_verifier import TokenVerifier


@asynccontextmanager
async def open_services(
    settings: Settings,
    *,
    serving: bool,
    inherited: Sequence[int] | None = None,
    migrating: bool = True,
    clock: Clock | None = None,
    ids: Ids | None = None,
    node: NodeName | None = None,
    watchers: Watchers | None = None,
) -> AsyncIterator[Services]:
    """Open the store and construct the services; close everything at the end.

    `serving` says that this is a server: an SQLite store can have only one. `inherited` says that this is a worker of
    one, which has prepared the store (`open_driver`). Without `migrating` a store that is missing or needs migrations
    is refused. The workers of a server share its `node`. Raises StoreRefused, StoreUnavailable.
    """
    clock = clock or SystemClock()
    ids = ids or Ids(clock, SystemRandomness())
    watchers = watchers or Watchers()
    repositories = await open_repositories(
        settings.store,
        serving=serving,
        inherited=inherited,
        migrating=migrating,
        observer=watchers.observer,
    )
    base = Base(settings, clock, ids, repositories, watchers, Turns())
    hasher = Hasher(settings.passwords.bcrypt_cost)
    hashes = _hash_pool(base, hasher, settings.passwords.hash_threads)
    preferred = _hash_pool(base, hasher, 1)
    try:
        name = node or NodeName.of_this_process(ids.new_id())
        services = await _services(base, name, hashes, preferred, serving=serving)
        if serving:
            # The keys could be opened, so a log that was left belongs to this store. After a write, closing the store
            # writes the log back.
            with suppress(StoreUnavailable):
                await repositories.readiness.ping()
        yield services
    except StoreUnavailable as failure:
        # The start could not read something, perhaps of a large file, which has not been read whole yet.
        prepares = serving and inherited is None
        refusal = await repositories.driver.refusal_of_damage() if prepares else None
        raise refusal or failure from failure.__cause__
    finally:
        hashes.close()
        preferred.close()
        await repositories.close()


def _hash_pool(base: Base, hasher: Hasher, threads: int) -> HashPool:
    passwords, observer = base.settings.passwords, base.watchers.observer
    limits = passwords.hash_queue, passwords.hash_wait_seconds
    if observer is None:
        return HashPool(hasher, threads, *limits)
    return ObservedHashPool(hasher, threads, *limits, observer)


@dataclass(frozen=True, slots=True)
class _Lasting:
    """What has a state, and so lasts beyond a reload of the settings. Keys and verifier do if theirs are unchanged."""

    hashes: HashPool
    preferred_hashes: HashPool
    revocations: Revocations
    keys: KeyService
    verifier: TokenVerifier
    nodes: Nodes
    mail_written: asyncio.Event


async def _services(base: Base, node: NodeName, hashes: HashPool, preferred: HashPool, *, serving: bool) -> Services:
    keys = await _keys(base, serving=serving)
    access_ttl_seconds = base.settings.tokens.access_ttl_seconds
    revocations = Revocations(base.repositories.sessions, base.clock, access_ttl_seconds, follows=serving)
    if serving:
        await revocations.refresh()
    latest = latest_migration(base.repositories.driver.dialect)
    nodes = Nodes(base.repositories.nodes, base.settings, base.clock, node, latest_migration=latest)
    lasting = _Lasting(hashes, preferred, revocations, keys, _verifier(base, keys), nodes, asyncio.Event())
    return _connected(base, lasting, serving=serving)


async def renewed_services(services: Services, settings: Settings) -> Services:
    """Services with other settings, beside those that are running and on the same store.

    Raises StoreRefused, for example if a secret can't open the keys; StoreUnavailable, if the keys have to be read.
    """
    base = Base(settings, services.clock, services.ids, services.repositories, services.watchers, services.turns)
    keys, verifier = services.keys, services.verifier
    if (settings.tokens, settings.keys) != (services.settings.tokens, services.settings.keys):
        keys = await _keys(base, serving=True)
        verifier = _verifier(base, keys)
    nodes = services.nodes.with_settings(settings)
    hashes, preferred = services.hashes, services.preferred_hashes
    written = services.outbox.written
    lasting = _Lasting(hashes, preferred, services.revocations, keys, verifier, nodes, written)
    return _connected(base, lasting, serving=True)


def _connected(base: Base, lasting: _Lasting, *, serving: bool) -> Services:
    settings, clock, ids, repositories = base.settings, base.clock, base.ids, base.repositories
    keys, revocations, preferred = lasting.keys, lasting.revocations, lasting.preferred_hashes
    roles = Roles(settings.role_includes)
    outbox = accounts.outbox(base, keys, lasting.mail_written)
    notices = accounts.notices(base, outbox)
    throttle = Throttle(
        Attempts(repositories.driver, repositories.attempts, repositories.audit), clock, settings.limits
    )
    authentication = _authentication(base, keys, throttle, lasting.hashes, preferred)
    challenges = accounts.challenges(base, keys, throttle)
    passwords = accounts.user_passwords(
        base, keys, authentication, throttle, revocations, challenges=challenges, notices=notices, hashes=preferred
    )
    refresh_tokens = RefreshTokens(partial(keys.current.token_key, "refresh token"))
    issuer = TokenIssuer(Signer(keys.current), refresh_tokens, ids, settings.tokens)
    sessions = _sessions(base, revocations, issuer, notices)
    users = accounts.users(base, passwords, throttle, revocations, roles, challenges=challenges, notices=notices)
    confirmations = accounts.confirmations(base, challenges, throttle, outbox, notices)
    invitations, registration = accounts.registration(
        base, keys, users, throttle, roles, confirmations=confirmations, outbox=outbox, hashes=lasting.hashes
    )
    recovery = accounts.recovery(
        base, keys, authentication, throttle, outbox=outbox, challenges=challenges, passwords=passwords
    )
    return Services(
        settings=settings,
        clock=clock,
        ids=ids,
        roles=roles,
        repositories=repositories,
        hashes=lasting.hashes,
        preferred_hashes=preferred,
        keys=keys,
        revocations=revocations,
        throttle=throttle,
        authentication=authentication,
        users=users,
        emails=accounts.emails(base, notices),
        confirmations=confirmations,
        outbox=outbox,
        challenges=challenges,
        mails=accounts.mails(base, outbox),
        mailing=accounts.mailing(base, outbox) if serving else None,
        user_passwords=passwords,
        sessions=sessions,
        refresh_rotation=_refresh_rotation(base, sessions, refresh_tokens, issuer),
        invitations=invitations,
        registration=registration,
        recovery=recovery,
        audit=Audit(repositories.audit, repositories.users, AuditChain(keys.audit_key)),
        statistics=_statistics(base),
        verifier=lasting.verifier,
        authenticator=BearerAuthenticator(lasting.verifier, revocations, base.turns, base.watchers.tokens),
        readiness=Readiness(repositories.readiness, keys.current, clock),
        nodes=lasting.nodes,
        watchers=base.watchers,
        turns=base.turns,
    )


async def _keys(base: Base, *, serving: bool) -> KeyService:
    keys = KeyService(
        keys=base.repositories.keys,
        audit=base.repositories.audit,
        custody=await open_custody(base.repositories.keys, base.settings, base.ids),
        policy=rotation_policy(base.settings),
        clock=base.clock,
        ids=base.ids,
    )
    await keys.load(serving=serving)
    return keys


def _authentication(
    base: Base, keys: KeyService, throttle: Throttle, hashes: HashPool, preferred: HashPool
) -> Authentication:
    return Authentication(
        users=base.repositories.users,
        hashes=hashes,
        preferred_hashes=preferred,
        throttle=throttle,
        devices=DeviceCookies(partial(keys.current.token_key, "device mark"), base.ids),
        clock=base.clock,
    )


def _sessions(base: Base, revocations: Revocations, issuer: TokenIssuer, notices: Notices) -> Sessions:
    return Sessions(
        driver=base.repositories.driver,
        repository=base.repositories.sessions,
        audit=base.repositories.audit,
        revocations=revocations,
        notices=notices,
        issuer=issuer,
        clock=base.clock,
        ids=base.ids,
        settings=base.settings.sessions,
    )


def _refresh_rotation(
    base: Base, sessions: Sessions, refresh_tokens: RefreshTokens, issuer: TokenIssuer
) -> RefreshRotation:
    return RefreshRotation(
        repository=base.repositories.sessions,
        sessions=sessions,
        refresh_tokens=refresh_tokens,
        issuer=issuer,
        clock=base.clock,
        settings=base.settings.sessions,
    )


def _statistics(base: Base) -> Statistics:
    return Statistics(
        users=base.repositories.users,
        sessions=base.repositories.sessions,
        audit=base.repositories.audit,
        clock=base.clock,
        roles=tuple(base.settings.roles),
    )


def _verifier(base: Base, keys: KeyService) -> TokenVerifier:
    tokens = base.settings.tokens
    return TokenVerifier(
        keys.current,
        issuer=tokens.issuer,
        audience=tokens.audience,
        cache_size=tokens.cache_size,
        clock=base.clock,
    )


def create_live(services: Services, request_log: RequestLog | None = None) -> Live:
    """The server, ready for a site. Raises ConfigurationError as `create_app` does."""
    return Live(services, request_log, create_app, renewed_services)


def create_runner(services: Services, request_log: RequestLog | None = None) -> EdgeRunner:
    """The same without the means to reload."""
    return create_live(services, request_log).runner


def create_app(services: Services) -> web.Application:
    """The guarded routes. Raises ConfigurationError for an override that fits no route."""
    table = route_table(services.settings)
    guard = auth_middleware(table.role_table, services.authenticator)
    app = web.Application(middlewares=[guard])
    app[SERVICES] = services
    app[SERVER_SETTINGS] = services.settings.server
    app[TRUSTED_NETWORKS] = services.settings.server.trusted_networks
    app[PAGES] = Pages.of(services.settings)
    app[DOCUMENTS] = _documents(table, services.settings, app[PAGES].renderer)
    table.register(app.router, require_recent, services.turns)
    app[IMMEDIATE] = Immediate(app, guard, table.immediate_paths())

    async def check_table(app: web.Application) -> None:
        table.role_table.require_all(app.router)

    app.on_startup.append(check_table)
    return app


def _documents(table: RouteTable, settings: Settings, renderer: Renderer) -> Documents:
    public_url = settings.server.public_url
    document = cache(lambda: openapi_document(table.rows, public_url))
    return Documents(
        routes=table.listing(),
        routes_for=table.routes_for,
        table=table,
        openapi=cache(lambda: openapi_bytes(document())),
        docs=cache(lambda: docs_page(document(), renderer, public_url)),
        inspect=cache(lambda: renderer.page("inspect.html", "en", languages=("en",))),
    )
