"""GET /routes, GET /openapi.json and GET /docs."""

from __future__ import annotations

from aiohttp import hdrs, web

from server.access.rules import ADMIN
from server.documents.schemas import RoutesAnswer
from server.http.responses import document_response, json_response
from server.http.route import Route
from server.services import DOCUMENTS
from watchword_client.access import ANYONE


async def list_routes(request: web.Request) -> web.Response:
    """GET /routes."""
    return json_response({"routes": request.app[DOCUMENTS].routes})


async def openapi(request: web.Request) -> web.Response:
    """GET /openapi.json."""
    headers: dict[str, str] = {hdrs.CACHE_CONTROL: "no-cache"}
    return document_response(request.app[DOCUMENTS].openapi, "application/json", headers)


async def docs(request: web.Request) -> web.Response:
    """GET /docs: a page without a script, so its policy forbids everything but its style."""
    page = request.app[DOCUMENTS].page
    return document_response(page.body, "text/html; charset=utf-8", page.headers)


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/routes",
        handler=list_routes,
        access=ADMIN,
        tag="This server",
        summary="The effective role table",
        answers={200: RoutesAnswer},
    ),
    Route(
        method="GET",
        path="/openapi.json",
        handler=openapi,
        access=ANYONE,
        tag="This server",
        summary="This API as OpenAPI 3.1",
        answers={200: None},
    ),
    Route(
        method="GET",
        path="/docs",
        handler=docs,
        access=ANYONE,
        tag="This server",
        summary="This API, readable in a browser",
        content_type="text/html",
        answers={200: None},
    ),
)
