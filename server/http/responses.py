"""Answers: JSON bodies, and problems of RFC 9457 for every failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import hdrs, web
from multidict import CIMultiDict, istr

from server.core.errors import ApiError
from server.http.errors import MalformedRequest, RequestTimeout

REQUEST_ID_HEADER = istr("X-Request-Id")
SERVER_NAME = "Watchword"

# No answer may be cached, sniffed for its type or framed. The few public documents override this themselves.
_COMMON = CIMultiDict(
    {
        hdrs.CACHE_CONTROL: "no-store",
        istr("X-Content-Type-Options"): "nosniff",
        hdrs.SERVER: SERVER_NAME,
    }
)
_JSON = CIMultiDict({hdrs.CONTENT_TYPE: "application/json", **_COMMON})
_PROBLEM = CIMultiDict({hdrs.CONTENT_TYPE: "application/problem+json", **_COMMON})


def document_response(body: bytes, content_type: str, headers: Mapping[str, str]) -> web.Response:
    """Answer with a public document; `headers` say how long it may be kept."""
    response = web.Response(body=body, headers=_COMMON)
    response.headers[hdrs.CONTENT_TYPE] = content_type
    response.headers.update(headers)
    return response


def add_common_headers(response: web.StreamResponse) -> None:
    """Add what every answer has, to one that a library has made."""
    response.headers.update(_COMMON)


def not_modified_response(headers: Mapping[str, str]) -> web.Response:
    """Answer 304: the document of the client is up to date (RFC 9110 section 15.4.5)."""
    response = web.Response(status=304, headers=_COMMON)
    response.headers.update(headers)
    return response


def json_response(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with a JSON object."""
    response = web.Response(body=orjson.dumps(body), status=status, headers=_JSON)
    if headers:
        response.headers.update(headers)
    return response


def json_text_response(text: str) -> web.Response:
    """Answer with JSON that is already written, in ASCII."""
    return web.Response(body=text.encode("ascii"), headers=_JSON)


def empty_response(headers: Mapping[str, str] | None = None, status: int = 204) -> web.Response:
    """Answer 204, or another status without a body."""
    response = web.Response(status=status, headers=_COMMON)
    if headers:
        response.headers.update(headers)
    return response


def problem_response(error: ApiError, request_id: str, public_url: str) -> web.Response:
    """Turn an error into its answer. `type` leads to the entry of the code on our own /docs page.

    Without a `server.public_url` it is a relative reference (RFC 9457 section 3.1.1). A `Host` header is never used.
    """
    body = error.problem(f"{public_url}/docs#{error.code}") | {"request_id": request_id}
    response = web.Response(body=orjson.dumps(body), status=error.status, headers=_PROBLEM)
    response.headers[REQUEST_ID_HEADER] = request_id
    response.headers.update(error.headers())
    if isinstance(error, RequestTimeout | MalformedRequest):
        # The server can't tell the rest of this request from the next one.
        response.force_close()
    return response


def has_etag(request: web.Request, etag: str) -> bool:
    """Whether `If-None-Match` has this tag (RFC 9110 section 13.1.2). An unreadable header counts as no."""
    try:
        tags = request.if_none_match
    except ValueError:
        return False
    return any(tag.value in {etag, "*"} for tag in tags or ())
