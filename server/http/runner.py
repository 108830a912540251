"""The server of aiohttp with our edge, which also answers what aiohttp would answer in plain text."""

from __future__ import annotations

import asyncio
import resource
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import structlog
from aiohttp import web
from aiohttp.web_app import _cached_build_middleware
from aiohttp.web_protocol import RequestHandler

from server.http.connection import READ_BUFFER_BYTES, EdgeProtocol
from server.http.edge import Edge
from server.http.gathering import Gatherer
from server.http.immediate import IMMEDIATE, Immediate, result_at_once
from server.http.leftovers import forget
from server.http.memory import CrowdMemory
from server.http.resting import Resting, RestingProtocol
from server.http.silent import Silence, SilentConnection
from server.http.turns import CLEANED_IN_A_TURN, Ignored, Shared

if TYPE_CHECKING:
    from aiohttp.http import RawRequestMessage, StreamWriter
    from aiohttp.streams import StreamReader
    from aiohttp.web_request import BaseRequest

_log = structlog.get_logger("watchword.web")

# aiohttp also waits `keepalive_timeout` for the rest of incomplete headers. Its own default is an hour.
KEEPALIVE_SECONDS = 75.0
LINGERING_SECONDS = 2.0
# How long requests in flight may take, including their cancellation. The rest of 8.5 s is for closing the store.
SHUTDOWN_SECONDS = 7.0
CANCEL_SECONDS = 0.5
# How long the server goes on listening meanwhile. The rest is for requests that came in this time.
DRAIN_SECONDS = 5.0
DRAIN_POLL_SECONDS = 0.02
# Descriptors that are reserved for the store, the log, and connections that are being closed.
KEPT_DESCRIPTORS = 100
# With more connections memory would run out first.
ENOUGH_DESCRIPTORS = 65_536


class EdgeServer(web.Server):
    """Makes an EdgeProtocol for each connection, and passes each request through the edge.

    When connections use up the descriptors of the process, a new connection replaces an old one: among those that wait
    for their client, the server closes the one whose latest request is the oldest.
    """

    def __init__(
        self, edge: Edge, inner: web.Server, immediate: Immediate | None, options: dict[str, Any], most: int
    ) -> None:
        self.serve(edge, inner, immediate)
        self._protocol_options = options
        self._most = most
        self.gatherer = Gatherer(asyncio.get_running_loop())
        self.ignored = Ignored(asyncio.get_running_loop())
        self.cleaning_up = Shared(asyncio.get_running_loop(), CLEANED_IN_A_TURN)
        self._memory = CrowdMemory(asyncio.get_running_loop())
        # Connections in the order of their latest request, the oldest first.
        self.by_latest_request: OrderedDict[RequestHandler | SilentConnection, None] = OrderedDict()
        self._silence = Silence(self, KEEPALIVE_SECONDS)
        self.resting = Resting(asyncio.get_running_loop(), self._rest)
        self._is_full = False
        # From the beginning of the end on, each answer is the last one of its connection.
        self.draining = False
        self.on_connection_lost: Callable[[], None] = lambda: None
        self.on_drain: Callable[[], None] = lambda: None
        super().__init__(
            self._handle_request,
            request_factory=inner.request_factory,
            handler_cancellation=True,
            loop=asyncio.get_running_loop(),
        )

    def serve(self, edge: Edge, inner: web.Server, immediate: Immediate | None) -> None:
        """Handle the requests that begin from now on with this edge and application. Others go on as they are."""
        self.edge = edge
        self._handle = edge.handler(inner.request_handler)
        # What is around each request may need a task.
        self._immediate = None if immediate is None or edge.is_enclosed else immediate
        self._handle_at_once = self._handle if immediate is None else edge.handler(immediate.handle)

    def is_immediate(self, target: str) -> bool:
        """Whether a GET of this target may be answered at once."""
        return self._immediate is not None and not self.draining and self._immediate.has(target)

    def answer_at_once(
        self, message: RawRequestMessage, body: StreamReader, protocol: EdgeProtocol, task: asyncio.Task[None] | None
    ) -> web.Response | None:
        """The answer to such a request; None if it has to wait, so that it begins anew in a task."""
        # The writer is for answers that aiohttp sends.
        request = self.request_factory(message, body, protocol, cast("StreamWriter", None), cast("Any", task))
        try:
            response = cast("web.Response | None", result_at_once(self._handle_at_once(request)))
        except Exception as error:  # noqa: BLE001 - a defect of the edge; the event loop would cut the connection off
            response = self.edge.refuse(request.remote, 500, error)
            forget(error)
        if response is not None:
            self.requests_count += 1
        return response

    def _handle_request(self, request: Any) -> Awaitable[web.StreamResponse]:
        # A connection keeps this method, also while what it calls is replaced.
        return self._handle(request)

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Each protocol calls it."""
        super().connection_made(handler, transport)
        self.arrived(handler)
        if isinstance(handler, RestingProtocol):
            self.resting.add(handler)

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Each protocol calls it."""
        super().connection_lost(handler, exc)
        self.went(handler)
        if isinstance(handler, RestingProtocol):
            self.resting.remove(handler)

    def _rest(self, handler: RestingProtocol, since: float) -> None:
        """A connection waits for its next request since then, and gets another protocol for it."""
        self._silence.take_over(handler.give_back(), since)

    def arrived(self, connection: RequestHandler | SilentConnection) -> None:
        """There is one more."""
        self.by_latest_request[connection] = None
        self._memory.connections(len(self.by_latest_request))
        if len(self.by_latest_request) > self._most:
            self._make_room(connection)

    def spoke(self, connection: RequestHandler) -> None:
        """It has sent a request."""
        if connection in self.by_latest_request:
            self.by_latest_request.move_to_end(connection)

    def went(self, connection: RequestHandler | SilentConnection) -> None:
        """It is no more, or another protocol has it."""
        self.by_latest_request.pop(connection, None)
        self._memory.connections(len(self.by_latest_request))
        self._is_full = self._is_full and len(self.by_latest_request) > self._most // 2

    def _make_room(self, newest: RequestHandler | SilentConnection) -> None:
        if not self._is_full:
            self._is_full = True
            _log.warning(
                "connections are used up", limit=self._most, consequence="those that wait for their client are closed"
            )
        # A connection whose handler works is not closed, so the newest may be the only one left.
        leaving = next(
            one
            for one in self.by_latest_request
            if one is newest or (isinstance(one, (SilentConnection, EdgeProtocol)) and one.waits_for_client)
        )
        del self.by_latest_request[leaving]
        transport = leaving.transport if isinstance(leaving, SilentConnection) else self._connections[leaving]
        if transport is not None:
            transport.abort()

    async def finish_requests(self, seconds: float) -> None:
        """Wait for the requests that are in flight now, at most so long. From now on an answer closes its connection.

        Those count that were sent and wait for their turn (silent.py). Bodies still arrive. `shutdown` would let
        aiohttp ignore them, so these requests could not end.
        """
        self.draining = True
        left = self._in_flight()
        looks = 2 if self._silence.is_busy else 0
        deadline = self._loop.time() + seconds
        while (left or looks) and self._loop.time() < deadline:
            # aiohttp has no event for the end of a request.
            await asyncio.sleep(DRAIN_POLL_SECONDS)
            if looks:
                # Twice, since what has woken up in one turn of the event loop is read in the next one.
                looks = 2 if self._silence.is_busy else looks - 1
                left = self._in_flight()
            left = [(one, request) for one, request in left if one.request is request]

    def _in_flight(self) -> list[tuple[EdgeProtocol, BaseRequest]]:
        return [(one, one.request) for one in self.connections if isinstance(one, EdgeProtocol) and one.request]

    def pre_shutdown(self) -> None:
        """Close what waits for a request."""
        self._silence.close()
        super().pre_shutdown()

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as in the base class
        """Wait for requests in flight, then cancel them. aiohttp alone would wait a second time."""
        try:
            async with asyncio.timeout((timeout or 0.0) + CANCEL_SECONDS):
                await super().shutdown(timeout)
        except TimeoutError:
            for connection in self.connections:
                connection.force_close()
        self._silence.end()

    def __call__(self) -> Any:
        """Make what a new connection has until its first head."""
        return SilentConnection(self._silence)

    def new_protocol(self) -> EdgeProtocol:
        """Make the protocol of a connection that has something to say."""
        return EdgeProtocol(self, loop=self._loop, **self._protocol_options)


def raise_descriptor_limit() -> None:
    """Raise the limit of descriptors as far as the system allows, since the usual 1,024 are soon used up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            # macOS reports a limit that it does not allow.
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _most_connections() -> int:
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if descriptors == resource.RLIM_INFINITY:
        descriptors = ENOUGH_DESCRIPTORS
    return max(descriptors - KEPT_DESCRIPTORS, descriptors // 2)


class EdgeRunner(web.AppRunner):
    """Runs an application behind an edge.

    A handler is cancelled when its client leaves. So a password hash that waits in the queue for it is dropped.
    `begin_end` is called when the end begins, while the server still listens.
    """

    def __init__(
        self,
        app: web.Application,
        edge: Edge,
        begin_end: Callable[[], None] = lambda: None,
        *,
        most_connections: int | None = None,
        end_seconds: float | None = None,
    ) -> None:
        """Without `most_connections` there may be as many as descriptors; the end takes SHUTDOWN_SECONDS at most."""
        super().__init__(app, access_log=None)
        self._edge = edge
        self._begin_end = begin_end
        self._most_connections = most_connections
        self._end_seconds = SHUTDOWN_SECONDS if end_seconds is None else end_seconds

    @property
    def edge_server(self) -> EdgeServer:
        """The server, after `setup`."""
        if not isinstance(self.server, EdgeServer):
            raise TypeError("call setup first")
        return self.server

    async def replace(self, app: web.Application, edge: Edge) -> Callable[[], None]:
        """Start another application beside the one that serves. The function that is returned lets it serve instead.

        Signals of the application for its end are not sent; only those of the first one are.
        """
        inner = web.AppRunner(app, access_log=None)
        await inner.setup()

        def serve() -> None:
            if inner.server is not None:
                self.edge_server.serve(edge, inner.server, app.get(IMMEDIATE))
                # aiohttp remembers here how a request goes through an application, and the application with it.
                _cached_build_middleware.cache_clear()

        return serve

    async def cleanup(self) -> None:
        """End the server. It listens until the requests in flight are done, so health checks see that it is ending.

        If there are none, it closes at once, and ends a moment later.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + self._end_seconds
        if isinstance(self.server, EdgeServer):
            self._begin_end()
            self.server.draining = True
            self.server.on_drain()
            await self.server.finish_requests(min(DRAIN_SECONDS, self._end_seconds))
            for site in self.sites:
                await site.stop()
            # Those that came meanwhile, and what busy clients have sent already on connections that are kept for them.
            await asyncio.sleep(DRAIN_POLL_SECONDS)
            await self.server.finish_requests(end - loop.time())
        self._shutdown_timeout = max(0.0, end - loop.time())
        await super().cleanup()

    async def _make_server(self) -> web.Server:
        options: dict[str, Any] = {
            "access_log": None,
            "auto_decompress": False,
            "keepalive_timeout": KEEPALIVE_SECONDS,
            "lingering_time": LINGERING_SECONDS,
            "read_bufsize": READ_BUFFER_BYTES,
        }
        return EdgeServer(
            self._edge,
            await super()._make_server(),
            self.app.get(IMMEDIATE),
            options,
            self._most_connections or _most_connections(),
        )
