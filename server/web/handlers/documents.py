"""What the server says of itself: keys, routes, documentation."""

from __future__ import annotations

import orjson
from aiohttp import hdrs, web

from server.context import DOCUMENTS, services_of
from server.web.problem import document_response, json_response

JWKS_SECONDS = 300


async def jwks(request: web.Request) -> web.Response:
    """GET /.well-known/jwks.json. May be cached for less than a new key is published ahead of its first use."""
    services = services_of(request)
    body = orjson.dumps(services.keys.keyring.jwks(services.clock.now_ms()))
    headers: dict[str, str] = {
        hdrs.CACHE_CONTROL: f"public, max-age={JWKS_SECONDS}",
        # Keys are public: any page may verify tokens.
        hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
    }
    return document_response(body, "application/jwk-set+json", headers)


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
