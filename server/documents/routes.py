"""GET /routes, GET /explain, GET /settings, GET /openapi.json and GET /docs."""

from __future__ import annotations

from aiohttp import hdrs, web

from server.access.explain import explain as explained
from server.access.rules import ADMIN, require_role
from server.core.errors import NotFound
from server.documents.schemas import ExplainAnswer, ExplainQuery, RoutesAnswer, SettingsAnswer, explain_json
from server.http.body import read_query
from server.http.responses import document_response, json_response
from server.http.route import Route
from server.pages.page import page_response
from server.services import DOCUMENTS, services_of
from server.settings.display import listing
from watchword_client.access import ANYONE


async def list_routes(request: web.Request) -> web.Response:
    """GET /routes."""
    return json_response({"routes": request.app[DOCUMENTS].routes})


async def explain(request: web.Request) -> web.Response:
    """GET /explain: decides as the middleware would."""
    query = read_query(request, ExplainQuery)
    if query.role is not None:
        require_role(services_of(request).roles, query.role)
    method, path = query.method.upper(), query.path.partition("?")[0]
    table = request.app[DOCUMENTS].table
    found = explained(table.role_table, method, path, query.role)
    if found is None:
        raise NotFound("There is no such route. GET /routes lists them.")
    name, decision = found
    return json_response(explain_json(method, path, decision, table.recent(name)))


async def show_settings(request: web.Request) -> web.Response:
    """GET /settings: those that serve now, which the file may already have otherwise."""
    settings = services_of(request).settings
    return json_response({"settings": listing(settings), "warnings": settings.whole.weaknesses()})


async def openapi(request: web.Request) -> web.Response:
    """GET /openapi.json."""
    headers: dict[str, str] = {hdrs.CACHE_CONTROL: "no-cache"}
    return document_response(request.app[DOCUMENTS].openapi(), "application/json", headers)


async def docs(request: web.Request) -> web.Response:
    """GET /docs."""
    return page_response(request, request.app[DOCUMENTS].docs())


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
        path="/explain",
        handler=explain,
        access=ADMIN,
        tag="This server",
        summary="Whether a role may make a call, and why",
        query=ExplainQuery,
        answers={200: ExplainAnswer},
        errors=(NotFound,),
    ),
    Route(
        method="GET",
        path="/settings",
        handler=show_settings,
        access=ADMIN,
        tag="This server",
        summary="The settings in force, secrets masked",
        answers={200: SettingsAnswer},
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
        summary="This API, to read and to try in a browser",
        content_type="text/html",
        answers={200: None, 304: None},
    ),
)
