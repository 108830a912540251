"""The edge: the outermost layer for every request and answer. It handles request ids, failures, CORS and the log."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

import structlog
from aiohttp import ClientConnectionResetError, hdrs, web

from server.core.clock import Clock
from server.core.errors import ApiError, NotFound, Overloaded
from server.core.ids import Ids
from server.core.origin import set_origin
from server.core.waiting import in_a_task
from server.database.patience import set_patience
from server.http.client_ip import client_ip
from server.http.context import REQUEST_ID
from server.http.cors import Cors
from server.http.errors import InternalError, MalformedRequest, MethodNotAllowed, PayloadTooLarge
from server.http.refusals import RefusalPace
from server.http.request_log import RequestLog
from server.http.request_origin import RequestOrigin
from server.http.responses import REQUEST_ID_HEADER, problem_response
from server.settings.networks import Network
from watchword_client.middleware import ROUTE

Inner = Callable[[web.Request], Awaitable[web.StreamResponse]]
# Answers a request by the given handler, and does something besides, such as a span.
Around = Callable[[Inner, web.Request], Awaitable[web.StreamResponse]]

_log = structlog.get_logger("watchword.web")


class RequestWatcher(Protocol):
    """Is told of each request, for metrics."""

    def request_answered(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """`route` is the template of the route, None if none matches. Bytes that are not HTTP have no method."""
        ...


class Edge:
    """Handles every request before the application does, including requests that match no route."""

    def __init__(
        self,
        *,
        clock: Clock,
        ids: Ids,
        cors: Cors,
        log: RequestLog | None,
        trusted: Sequence[Network],
        public_url: str,
        watcher: RequestWatcher | None = None,
        around: Around | None = None,
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._cors = cors
        self._log = log
        self._trusted = trusted
        self._public_url = public_url
        self._watcher = watcher
        self._around = around
        self._refusals = RefusalPace()

    @property
    def is_enclosed(self) -> bool:
        """Whether something is around each request, such as a span."""
        return self._around is not None

    def handler(self, inner: Inner) -> Callable[..., Awaitable[web.StreamResponse]]:
        """What answers requests by `inner`."""
        handle = partial(self.handle, inner)
        return handle if self._around is None else partial(self._around, handle)

    async def handle(self, inner: Inner, request: web.Request) -> web.StreamResponse:
        """Give the request an id, turn a failure into a problem, and log the answer.

        aiohttp calls this in a new task for each request, so context variables that are set here end with the request.
        """
        started = self._clock.monotonic()
        request_id = request[REQUEST_ID] = self._ids.new_request_id()
        origin = RequestOrigin(request, self._trusted)
        set_origin(origin)
        set_patience()
        refused = False
        try:
            if hdrs.EXPECT in request.headers:
                _check_expectation(request)
            response = await inner(request)
            response.headers[REQUEST_ID_HEADER] = request_id
        except (asyncio.CancelledError, ClientConnectionResetError):
            # The client has left, perhaps before its 100 Continue. This status appears only in the log and in metrics.
            self._note(request, 499, started)
            origin.end()
            raise asyncio.CancelledError from None
        except Exception as error:  # noqa: BLE001 - the last line: a defect is logged whole and answered without detail
            response = self._failure(request, error, request_id)
            # The frames refer to the request, and the request refers to an error of the router. Without this line the
            # request and its headers would stay in memory until a garbage collection.
            error.__traceback__ = None
            refused = isinstance(error, Overloaded) or response.status == 429
        if refused:
            await in_a_task()
            try:
                await self._refusals.keep()
            except asyncio.CancelledError:
                self._note(request, 499, started)
                origin.end()
                raise
        if self._cors.active:
            self._cors.decorate(request, response)
        self._note(request, response.status, started)
        origin.end()
        return response

    def _note(self, request: web.Request, status: int, started: float) -> None:
        route = request.get(ROUTE)
        seconds = self._clock.monotonic() - started
        if self._log is not None:
            self._log.write(request, route, status, seconds, client_ip(request, self._trusted))
        if self._watcher is not None:
            self._watcher.request_answered(request.method, route, status, seconds)

    def _failure(self, request: web.Request, error: Exception, request_id: str) -> web.Response:
        if isinstance(error, web.HTTPException):
            preflight = self._cors.preflight(request, error, request_id)
            return preflight or self._problem(_from_aiohttp(error), request_id)
        return self._problem(error if isinstance(error, ApiError) else _unexpected(error, request_id), request_id)

    def _problem(self, error: ApiError, request_id: str) -> web.Response:
        return problem_response(error, request_id, self._public_url)

    def refuse(self, client: str | None, status: int, error: BaseException | None) -> web.Response:
        """The answer to bytes that are not HTTP, or to a defect outside the application."""
        request_id = self._ids.new_request_id()
        if self._watcher is not None:
            self._watcher.request_answered("", None, status, 0.0)
        if status != 400:
            _log.error("request failed outside the application", request_id=request_id, exc_info=error)
            return self._problem(InternalError(), request_id)
        # The message of the parser quotes the client's bytes, which may be a secret.
        _log.info("malformed request", request_id=request_id, client=client, reason=type(error).__name__)
        return self._problem(MalformedRequest(), request_id)


def _check_expectation(request: web.Request) -> None:
    """Refuse unknown expectations with a problem. aiohttp would send plain text, or 500 if the value is not UTF-8."""
    if request.headers[hdrs.EXPECT].lower() != "100-continue":
        raise MalformedRequest("The only expectation that is known here is 100-continue.")


def _unexpected(error: Exception, request_id: str) -> ApiError:
    """The answer to an unexpected exception: Overloaded if there are no descriptors left, otherwise a defect."""
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        _log.warning("no descriptor was left", request_id=request_id)
        return Overloaded()
    _log.error("request failed", request_id=request_id, exc_info=error)
    return InternalError()


def _from_aiohttp(error: web.HTTPException) -> ApiError:
    """Convert refusals of aiohttp and its router to our errors."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(sorted(error.allowed_methods))
    if error.status == 404:
        return NotFound()
    if error.status == 413:
        return PayloadTooLarge()
    return MalformedRequest()
