"""The server under the application: what aiohttp would answer itself, in plain text, goes to the edge."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from server.web.edge import Edge

# aiohttp waits `keepalive_timeout` for the rest of half-sent headers too; its own default is an hour.
KEEPALIVE_SECONDS = 75.0
LINGERING_SECONDS = 2.0
# What is in flight may take so long; with what comes behind it, the end takes less than 10 s.
SHUTDOWN_SECONDS = 7.0


class EdgeProtocol(RequestHandler):
    """A connection. Slots as in the base class."""

    __slots__ = ("_edge",)

    def __init__(self, manager: EdgeServer, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._edge = manager.edge

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what never became a request, or a defect in the edge itself."""
        if request.writer is not None and request.writer.output_size > 0:
            raise ConnectionError("the answer was under way")
        response = self._edge.refuse(request.remote, status, exc)
        response.force_close()
        return response


class EdgeServer(web.Server):
    """Makes an EdgeProtocol for each connection, and passes each request through the edge."""

    def __init__(self, edge: Edge, inner: web.Server, options: dict[str, Any]) -> None:
        self.edge = edge
        self._inner = inner.request_handler
        self._protocol_options = options
        super().__init__(
            self._handle,
            request_factory=inner.request_factory,
            handler_cancellation=True,
            loop=asyncio.get_running_loop(),
        )

    def _handle(self, request: Any) -> Awaitable[web.StreamResponse]:
        return self.edge.handle(request, self._inner)

    def __call__(self) -> RequestHandler:
        """A new connection."""
        return EdgeProtocol(self, loop=self._loop, **self._protocol_options)


class EdgeRunner(web.AppRunner):
    """Runs an application behind an edge.

    Handlers are cancelled when their client leaves, so a queued hash of a client that went away is dropped.
    """

    def __init__(self, app: web.Application, edge: Edge) -> None:
        super().__init__(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        self._edge = edge

    async def _make_server(self) -> web.Server:
        options: dict[str, Any] = {
            "access_log": None,
            "auto_decompress": False,
            "keepalive_timeout": KEEPALIVE_SECONDS,
            "lingering_time": LINGERING_SECONDS,
        }
        return EdgeServer(self._edge, await super()._make_server(), options)
