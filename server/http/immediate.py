"""Requests that are answered in the callback that received them, without a task.

aiohttp wakes a task for each connection, which makes a task for each request. For a check of a token, these and their
turns of the event loop cost more than the check. The routes of which that matters declare themselves immediate; their
requests pass the same edge, the same middleware and the same handler, but in the callback.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection
from contextvars import Context
from typing import TYPE_CHECKING, cast

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.typedefs import Middleware

from watchword_client.route_names import template_of

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from aiohttp.http import RawRequestMessage
    from aiohttp.streams import StreamReader


class Immediate:
    """The immediate routes of an application, with what the router would find: GET, on a path without variables.

    Sub-applications and signals of aiohttp are passed over; Watchword has none.
    """

    def __init__(self, app: web.Application, guard: Middleware, paths: Collection[str]) -> None:
        self._guard = guard
        self._found: dict[str, tuple[web.UrlMappingMatchInfo, web.AbstractRoute]] = {}
        for route in app.router.routes():
            if route.method == hdrs.METH_GET and template_of(route) in paths:
                match = web.UrlMappingMatchInfo({}, route)
                match.add_app(app)
                match.freeze()
                self._found[template_of(route)] = match, route

    def has(self, target: str) -> bool:
        """Whether a request-target (RFC 9112 section 3.2) is the path of such a route, with a query or without."""
        return target in self._found or target.partition("?")[0] in self._found

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """What the application does for a request of which `has` is true."""
        match, route = self._found[request.path]
        request._match_info = match  # noqa: SLF001 - as the application does it, after asking its router
        return await self._guard(request, route.handler)


def asks_only(message: RawRequestMessage, body: StreamReader) -> bool:
    """Whether this is a GET of HTTP/1.1 without a body, after which the connection goes on as it is."""
    return (
        message.method == hdrs.METH_GET
        and message.version == HttpVersion11
        and body is EMPTY_PAYLOAD
        and not message.should_close
        and not message.upgrade
        and hdrs.EXPECT not in message.headers
    )


IMMEDIATE: web.AppKey[Immediate] = web.AppKey("immediate", Immediate)


def result_at_once(answering: Awaitable[web.StreamResponse]) -> web.StreamResponse | None:
    """The answer, or None if it would have to wait; then nothing has happened.

    It runs in a context of its own, as it would in a task: what is set there ends with the request.
    """
    coroutine = cast("Coroutine[Any, Any, web.StreamResponse]", answering)
    try:
        Context().run(coroutine.send, None)
    except StopIteration as end:
        answer: web.StreamResponse = end.value
        return answer
    coroutine.close()
    return None
