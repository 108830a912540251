"""The one place where everything is constructed and wired."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from server.access import RoleTable
from server.background import background
from server.clock import Clock, SystemClock
from server.config import Settings
from server.context import DOCUMENTS, SERVICES, Documents, Services
from server.ids import Ids, SystemRandomness
from server.observe.requests import RequestLog
from server.passwords.hasher import Hasher
from server.passwords.pool import HashPool
from server.sessions.authenticator import Authenticator
from server.sessions.refresh_token import RefreshTokens
from server.sessions.service import Sessions
from server.store.open import open_store, sqlite_path
from server.store.protocol import Store
from server.tokens.cache import VerifiedTokens
from server.tokens.keyservice import KeyService
from server.tokens.revocation import Revocations
from server.tokens.sealing import MasterKey, load_or_make_master_key_file
from server.tokens.signer import Signer
from server.tokens.verifier import Verifier
from server.users.reset_token import ResetTokens
from server.users.service import Users
from server.web.cors import Cors
from server.web.docs_page import POLICY, docs_page
from server.web.edge import Edge
from server.web.middleware import access_middleware
from server.web.openapi import openapi_bytes, openapi_document
from server.web.runner import EdgeRunner
from server.web.table import AccessTable


@asynccontextmanager
async def open_services(
    settings: Settings, *, serving: bool, clock: Clock | None = None, ids: Ids | None = None
) -> AsyncIterator[Services]:
    """Open the store and construct the services; close everything at the end.

    `serving` takes the store for this process, where only one may serve. Raises StoreRefused, StoreUnavailable.
    """
    clock = clock or SystemClock()
    ids = ids or Ids(clock, SystemRandomness())
    store = await open_store(settings.store.url, serving=serving)
    hashes = HashPool(
        Hasher(settings.passwords.bcrypt_cost), settings.passwords.hash_threads, settings.passwords.hash_queue
    )
    try:
        yield await _construct(settings, clock, ids, store, hashes)
    finally:
        hashes.close()
        await store.close()


async def _construct(settings: Settings, clock: Clock, ids: Ids, store: Store, hashes: HashPool) -> Services:
    roles = RoleTable(settings.roles)
    master_key = MasterKey(_master_key_text(settings, ids), ids)
    keys = KeyService(
        store=store,
        master_key=master_key,
        algorithm=settings.tokens.algorithm,
        secret=settings.tokens.secret.get_secret_value(),
        access_ttl_seconds=settings.tokens.access_ttl_seconds,
        rotate_every_days=settings.keys.rotate_every_days,
        clock=clock,
    )
    await keys.load()
    revocations = Revocations(store, clock)
    await revocations.refresh()
    users = Users(
        store=store,
        hashes=hashes,
        reset_tokens=ResetTokens(master_key.derive("password reset token")),
        revocations=revocations,
        roles=roles,
        clock=clock,
        ids=ids,
        passwords=settings.passwords,
    )
    sessions = Sessions(
        store=store,
        hashes=hashes,
        signer=Signer(keys),
        revocations=revocations,
        refresh_tokens=RefreshTokens(master_key.derive("refresh token")),
        clock=clock,
        ids=ids,
        tokens=settings.tokens,
        sessions=settings.sessions,
    )
    authenticator = Authenticator(
        verifier=Verifier(keys, issuer=settings.tokens.issuer, audience=settings.tokens.audience),
        verified=VerifiedTokens(settings.tokens.cache_size),
        revocations=revocations,
        keys=keys,
        clock=clock,
    )
    return Services(settings, clock, ids, roles, store, hashes, keys, revocations, users, sessions, authenticator)


def _master_key_text(settings: Settings, ids: Ids) -> str:
    given = settings.keys.master_key.get_secret_value()
    if given or not settings.store.is_sqlite:
        return given
    path: Path = sqlite_path(settings.store.url)
    return load_or_make_master_key_file(path.with_name(path.name + ".key"), ids)


def create_runner(services: Services, request_log: RequestLog | None = None) -> EdgeRunner:
    """The application behind its edge, ready for a site. Raises ConfigurationError as `create_app` does."""
    settings = services.settings
    edge = Edge(
        clock=services.clock,
        ids=services.ids,
        cors=Cors(settings.cors.origins),
        log=request_log,
        trusted=settings.server.trusted_networks,
    )
    return EdgeRunner(create_app(services), edge)


def create_app(services: Services) -> web.Application:
    """The guarded routes. Raises ConfigurationError for an override that fits no route."""
    table = AccessTable(services.roles, services.settings.access)
    app = web.Application(middlewares=[access_middleware(table=table, authenticator=services.authenticator)])
    app[SERVICES] = services
    app[DOCUMENTS] = _documents(table)
    table.register(app.router)

    async def check_table(app: web.Application) -> None:
        table.require_rows(app.router)

    app.on_startup.append(check_table)
    app.cleanup_ctx.append(background)
    return app


def _documents(table: AccessTable) -> Documents:
    document = openapi_document(table.rows)
    return Documents(table.listing(), openapi_bytes(document), docs_page(document), POLICY)
