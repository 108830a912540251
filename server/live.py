"""What serves now, and how other settings take its place while requests go on.

Services, application and edge are constructed anew, on the store that is open, and replace the former ones in one step:
a request is handled by the ones or the others as a whole. What has a state stays: connections, revocations, threads
that hash, background tasks.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from server.background import background
from server.http.cors import Cors
from server.http.edge import Edge
from server.http.request_log import RequestLog
from server.http.runner import EdgeRunner
from server.keys.service import KeyService
from server.logs.output import configure_logs
from server.passwords.hasher import Hasher
from server.services import Services
from server.settings import Settings

CreateApp = Callable[[Services], web.Application]
Renew = Callable[[Services, Settings], Awaitable[Services]]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What serves next. `hasher` is None if hashes are made as before."""

    services: Services
    hasher: Hasher | None
    serve: Callable[[], None]


class Live:
    """The server in this process. `prepare` does all that can fail, `take` what can't."""

    def __init__(self, services: Services, request_log: RequestLog | None, create_app: CreateApp, renew: Renew) -> None:
        self.services = services
        self.hashes_renewed = asyncio.Event()
        self._request_log = request_log
        self._create_app = create_app
        self._renew = renew
        self._prepared: _Prepared | None = None
        self._at_end: list[Callable[[], None]] = []
        app = create_app(services)
        app.cleanup_ctx.append(partial(background, self))
        self.runner = EdgeRunner(app, self._edge(services), self._begin_end)

    async def prepare(self, settings: Settings) -> None:
        """Construct everything with these settings, beside what serves.

        Raises ConfigurationError, StoreRefused, StoreUnavailable. Then nothing has changed.
        """
        hasher = None
        if settings.passwords.bcrypt_cost != self.services.settings.passwords.bcrypt_cost:
            hasher = Hasher(settings.passwords.bcrypt_cost)
            # It costs a hash, which a first login would wait for.
            await asyncio.to_thread(hasher.prepare)
        services = await self._renew(self.services, settings)
        serve = await self.runner.replace(self._create_app(services), self._edge(services))
        self._prepared = _Prepared(services, hasher, serve)
        if services.keys is not self.services.keys:
            # From now on `refresh_keys` reads these keys too, but one may have been revoked a moment ago.
            try:
                await services.keys.current.refresh()
            except BaseException:
                self.drop()
                raise

    def take(self) -> None:
        """Serve with what was prepared. Requests that have begun end with the former settings."""
        prepared, self._prepared = self._prepared, None
        if prepared is None:
            return
        before, self.services = self.services, prepared.services
        settings = self.services.settings
        prepared.serve()
        if self.services.verifier is not before.verifier:
            # The first services stay in memory, but what they remember need not.
            before.verifier.forget()
        self.services.revocations.require(settings.tokens.access_ttl_seconds)
        hasher = prepared.hasher or self.services.hashes.hasher
        limits = settings.passwords.hash_queue, settings.passwords.hash_wait_seconds
        self.services.hashes.change(hasher, settings.passwords.hash_threads, *limits)
        self.services.preferred_hashes.change(hasher, 1, *limits)
        if prepared.hasher is not None:
            self.hashes_renewed.set()
        if settings.logs != before.settings.logs:
            render = configure_logs(settings.logs)
            if self._request_log is not None:
                self._request_log.render_with(render)
        # An application is full of cycles, and collections are rare (`serve`).
        gc.collect()

    def drop(self) -> None:
        """Forget what was prepared."""
        self._prepared = None

    async def require_ready(self) -> None:
        """Return if a login could succeed now. Raises TryLater."""
        await self.services.readiness.check()

    async def refresh_keys(self) -> None:
        """Read the keys, then those that were prepared: a key that has been revoked must not come back with them."""
        refreshed: list[KeyService] = []
        while unread := [one for one in self._key_services() if one not in refreshed]:
            await unread[0].current.refresh()
            refreshed.append(unread[0])

    def _key_services(self) -> list[KeyService]:
        return [self.services.keys, *([] if self._prepared is None else [self._prepared.services.keys])]

    def _edge(self, services: Services) -> Edge:
        settings = services.settings
        return Edge(
            clock=services.clock,
            ids=services.ids,
            cors=Cors(settings.cors.origins, settings.cors.headers),
            log=self._request_log if settings.logs.requests else None,
            trusted=settings.server.trusted_networks,
            public_url=settings.server.public_url,
            watcher=services.watchers.requests,
            around=services.watchers.around,
        )

    def on_end(self, begin_end: Callable[[], None]) -> None:
        """Call this when the end begins, while requests are still finished."""
        self._at_end.append(begin_end)

    def _begin_end(self) -> None:
        self.services.readiness.drain()
        # Logins that would have to wait get 503 at once.
        self.services.hashes.stop_waiting()
        self.services.preferred_hashes.stop_waiting()
        for begin_end in self._at_end:
            begin_end()
