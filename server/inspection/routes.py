"""GET /inspect and POST /inspect."""

from __future__ import annotations

import json

from aiohttp import web

from server.http.requests import body_of
from server.http.responses import json_text_response
from server.http.route import Route
from server.inspection.schemas import InspectionAnswer, InspectionBody
from server.inspection.service import inspect_here
from server.pages.page import page_response
from server.services import DOCUMENTS, services_of
from watchword_client.access import ANYONE


async def inspect_page(request: web.Request) -> web.Response:
    """GET /inspect: the page. It sends the pasted token only to this server."""
    return page_response(request, request.app[DOCUMENTS].inspect())


async def inspect_token(request: web.Request) -> web.Response:
    """POST /inspect: everything about a token."""
    body = await body_of(request, InspectionBody)
    answer = await inspect_here(body.token, services_of(request), request.app[DOCUMENTS].routes_for)
    # Not orjson: it refuses lone surrogates and very long numbers, which a hostile token may contain.
    return json_text_response(json.dumps(answer))


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/inspect",
        handler=inspect_page,
        access=ANYONE,
        tag="This server",
        summary="Look into a token, in a browser",
        content_type="text/html",
        answers={200: None, 304: None},
    ),
    Route(
        method="POST",
        path="/inspect",
        handler=inspect_token,
        access=ANYONE,
        tag="This server",
        summary="Look into a token: what it says, whether it holds, why it would be refused",
        body=InspectionBody,
        answers={200: InspectionAnswer},
    ),
)
