"""The server under the application: what aiohttp refuses before routing gets our answers too.

aiohttp answers bytes that are not HTTP, and an `Expect` that it does not know, itself: in plain text and without an id.
The three classes here put a problem (RFC 9457) in their place.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from aiohttp import hdrs, web
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from server.context import SERVICES
from server.errors import ApiError, InternalError, MalformedRequest
from server.web.problem import problem_response

# aiohttp waits `keepalive_timeout` for the rest of half-sent headers too; its own default is an hour.
KEEPALIVE_SECONDS = 75.0
LINGERING_SECONDS = 2.0
SHUTDOWN_SECONDS = 3.0

_log = structlog.get_logger("watchword.web")


class EdgeProtocol(RequestHandler):
    """A connection. Slots as in the base class."""

    __slots__ = ("_new_request_id",)

    def __init__(self, manager: EdgeServer, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._new_request_id = manager.services.ids.new_request_id

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what never became a request, or a defect in the middleware itself."""
        if request.writer is not None and request.writer.output_size > 0:
            raise ConnectionError("the answer was under way")
        request_id = self._new_request_id()
        error: ApiError = MalformedRequest() if status == 400 else InternalError()
        if status == 400:
            # The message of the parser quotes what was sent, which may be a secret.
            _log.info("malformed request", request_id=request_id, client=request.remote, reason=type(exc).__name__)
        else:
            _log.error("request failed outside the application", request_id=request_id, exc_info=exc)
        response = problem_response(error, request_id)
        response.force_close()
        return response


class EdgeServer(web.Server):
    """Makes an EdgeProtocol for each connection of an application's server."""

    def __init__(self, app: web.Application, inner: web.Server, kwargs: dict[str, Any]) -> None:
        self.services = app[SERVICES]
        self._inner = inner.request_handler
        self._protocol_options = kwargs
        super().__init__(
            self._handle,
            request_factory=inner.request_factory,
            handler_cancellation=True,
            loop=asyncio.get_running_loop(),
        )

    async def _handle(self, request: BaseRequest) -> web.StreamResponse:
        expected = request.headers.get(hdrs.EXPECT)
        if expected is not None and expected.lower() != "100-continue":
            # Before the middleware: aiohttp's own refusal is plain text, and a 500 where the value is not UTF-8.
            error = MalformedRequest("The only expectation that is known here is 100-continue.")
            request_id = self.services.ids.new_request_id()
            _log.info("malformed request", request_id=request_id, client=request.remote, reason="expectation")
            return problem_response(error, request_id)
        return await self._inner(request)

    def __call__(self) -> RequestHandler:
        """A new connection."""
        return EdgeProtocol(self, loop=self._loop, **self._protocol_options)


class EdgeRunner(web.AppRunner):
    """Runs an application behind an EdgeServer.

    Handlers are cancelled when their client leaves, so a queued hash of a client that went away is dropped.
    """

    def __init__(self, app: web.Application) -> None:
        super().__init__(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)

    async def _make_server(self) -> web.Server:
        options: dict[str, Any] = {
            "access_log": None,
            "auto_decompress": False,
            "keepalive_timeout": KEEPALIVE_SECONDS,
            "lingering_time": LINGERING_SECONDS,
        }
        return EdgeServer(self.app, await super()._make_server(), options)
