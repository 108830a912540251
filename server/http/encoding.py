"""The bytes of an ordinary answer, in one step. aiohttp takes six coroutines for them."""

from __future__ import annotations

from typing import cast

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http_writer import _serialize_headers
from aiohttp.web_request import BaseRequest

from server.http.gathering import SMALL_BYTES

# Stands for an answer that was sent, on a connection that goes on.
KEPT = web.Response()
KEPT._keep_alive = True  # noqa: SLF001 - it has a setter for False alone


def is_plain(request: BaseRequest, response: web.StreamResponse) -> bool:
    """Whether `encoded` can make it: small, in bytes, without cookies, and the connection is kept."""
    if type(response) is not web.Response or response.keep_alive is False or response.status == 304:
        return False
    body = response.body
    return (
        (body is None or (isinstance(body, bytes) and len(body) <= SMALL_BYTES))
        and not (response._cookies or response.chunked or response.compression)  # noqa: SLF001 - `cookies` makes them
        and hdrs.SERVER in response.headers
        and request.version == HttpVersion11
        and request.keep_alive
        and request.method != hdrs.METH_HEAD
        and request.content.is_eof()
    )


def encoded(response: web.Response) -> bytes:
    """A plain answer as HTTP/1.1 (RFC 9112)."""
    body = cast("bytes", response.body or b"")
    if body or response.status != 204:
        response.headers[hdrs.CONTENT_LENGTH] = str(len(body))
    response.headers[hdrs.DATE] = rfc822_formatted_time()
    head: bytes = _serialize_headers(f"HTTP/1.1 {response.status} {response.reason}", response.headers)
    return head + body
