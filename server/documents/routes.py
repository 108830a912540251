"""What the server says of itself: keys, routes, documentation."""

from __future__ import annotations

from aiohttp import hdrs, web

from server.http.responses import document_response, json_response, not_modified_response
from server.services import DOCUMENTS, services_of


async def jwks(request: web.Request) -> web.Response:
    """GET /.well-known/jwks.json, from memory. May be cached for half as long as a new key is published ahead."""
    services = services_of(request)
    document = services.keys.jwks()
    headers: dict[str, str] = {
        hdrs.CACHE_CONTROL: f"public, max-age={services.settings.keys.jwks_max_age_seconds}",
        hdrs.ETAG: f'"{document.etag}"',
        # Keys are public: any page may verify tokens.
        hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
    }
    if _has(request, document.etag):
        return not_modified_response(headers)
    return document_response(document.body, "application/jwk-set+json", headers)


def _has(request: web.Request, etag: str) -> bool:
    """Whether the client has what it asks for (RFC 9110 section 13.1.2). A header that can't be read says no."""
    try:
        tags = request.if_none_match
    except ValueError:
        return False
    return any(tag.value in {etag, "*"} for tag in tags or ())


async def list_routes(request: web.Request) -> web.Response:
    """GET /routes."""
    return json_response({"routes": request.app[DOCUMENTS].routes})


async def openapi(request: web.Request) -> web.Response:
    """GET /openapi.json."""
    headers: dict[str, str] = {hdrs.CACHE_CONTROL: "no-cache"}
    return document_response(request.app[DOCUMENTS].openapi, "application/json", headers)


async def docs(request: web.Request) -> web.Response:
    """GET /docs: one page without a script, so the policy can forbid everything but its own style."""
    documents = request.app[DOCUMENTS]
    headers: dict[str, str] = {
        hdrs.CACHE_CONTROL: "no-cache",
        "Content-Security-Policy": documents.page_policy,
        "Referrer-Policy": "no-referrer",
    }
    return document_response(documents.page, "text/html; charset=utf-8", headers)
